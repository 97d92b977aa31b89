"""Stage page: the decision, figures and pictures of one dataset in one file.

in:  metrics.json, replicates.h5, scores.tsv, held_out_scores.tsv of every category and detector;
     the images, where there are any
out: reports/{dataset}.html, _decision.json (what it says), _operating_points.csv
"""

from defectbench.reports.page_templates import template_digest


rule page:
    input:
        metrics=dataset_metrics("metrics"),
        replicates=dataset_metrics("replicates"),
        scores=dataset_scores("scores"),
        held_out=dataset_scores("held_out"),
        categories=dataset_images,
    output:
        page=report(
            "reports/{dataset}.html",
            caption="../report/page.rst",
            category="Results",
            labels={"dataset": "{dataset}", "shows": "decision, figures, pictures"},
        ),
        decision="reports/{dataset}_decision.json",
        points="reports/{dataset}_operating_points.csv",
    log:
        "logs/{dataset}/page.log",
    benchmark:
        "benchmarks/{dataset}/page.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(15),
    params:
        categories=lambda wildcards: all_categories(config, wildcards.dataset),
        rates=config["operating_points"],
        costs=config.get("costs"),
        templates=template_digest(),
        code=stage_digest("write_page"),
    script:
        "../scripts/write_page.py"
