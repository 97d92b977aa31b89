"""Stage page: the decision, figures and pictures of one dataset in one file.

in:  metrics.json, replicates.h5, scores.tsv, held_out_scores.tsv, held_out_check.json of every
     category and detector; maps.h5 and pixel_metrics.json of those that localize; index.tsv,
     notes.json and images of every category
out: reports/{dataset}.html, _decision.json (what it says), _operating_points.csv
"""

from defectbench.reports.page_templates import template_digest


rule page:
    input:
        metrics=of_cells("metrics", "metrics"),
        replicates=of_cells("metrics", "replicates"),
        scores=of_cells("scores", "scores"),
        held_out=of_cells("scores", "held_out"),
        held_out_checks=of_cells("scores", "check"),
        notes=of_cells("index", "notes"),
        index=of_cells("index", "index"),
        maps=of_cells("scores", "maps", only=localizing_cells),
        pixel_metrics=of_cells("pixel_metrics", "metrics", only=localizing_cells),
        images=dataset_images,
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
