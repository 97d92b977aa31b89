"""Stage table: which detector of a dataset, which threshold, what slips through; all figures.

in:  of every category and detector metrics.json, replicates.h5, scores.tsv, held_out_scores.tsv,
     calibration_scores.tsv, held_out_check.json, cost.json, and pixel_metrics.json if it localizes;
     notes.json of every category; published figures, if any; the templates
out: reports/{dataset}_table.md, _table.csv (the same figures, tidy), _details.md, _operating_points.csv,
     reports/{dataset}.json; _cost.md, the only one with times
"""


rule table:
    input:
        metrics=of_cells("metrics", "metrics"),
        replicates=of_cells("metrics", "replicates"),
        scores=of_cells("scores", "scores"),
        held_out=of_cells("scores", "held_out"),
        calibration=of_cells("scores", "calibration"),
        costs=of_cells("scores", "cost"),
        pixel_metrics=of_cells("pixel_metrics", "metrics", only=localizing_cells),
        notes=of_cells("index", "notes"),
        held_out_checks=of_cells("scores", "check"),
        published=published_figures,
        speed=measured_speed,
        templates=TEMPLATES,
    output:
        markdown=report(
            "reports/{dataset}_table.md",
            caption="../report/table.rst",
            category="Results",
            labels={"dataset": "{dataset}", "shows": "table"},
        ),
        details=report(
            "reports/{dataset}_details.md",
            caption="../report/details.rst",
            category="Results",
            labels={"dataset": "{dataset}", "shows": "details"},
        ),
        csv=report(
            "reports/{dataset}_table.csv",
            caption="../report/table.rst",
            category="Results",
            labels={"dataset": "{dataset}", "shows": "figures, tidy"},
        ),
        decision="reports/{dataset}.json",
        points="reports/{dataset}_operating_points.csv",
        cost="reports/{dataset}_cost.md",
    log:
        "logs/{dataset}/table.log",
    benchmark:
        "benchmarks/{dataset}/table.jsonl"
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS, report_memory("scores", "held_out", "calibration", "replicates")),
        runtime=grows(10),
    params:
        categories=dataset_categories,
        rates=config["operating_points"],
        costs=config.get("costs"),
        defective_share=config.get("defective_share"),
        limits=limits_of(config),
        code=stage_digest("table"),
    script:
        "../scripts/table.py"
