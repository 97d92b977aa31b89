"""Stage decision: which detector of a dataset, which threshold, what slips through.

in:  metrics.json, replicates.h5, scores.tsv, held_out_scores.tsv of every category and detector;
     pixel_metrics.json of those that localize
out: reports/{dataset}_decision.json, _operating_points.csv, _cost.md
"""


rule decision:
    input:
        metrics=of_cells("metrics", "metrics"),
        costs=of_cells("scores", "cost"),
        replicates=of_cells("metrics", "replicates"),
        scores=of_cells("scores", "scores"),
        held_out=of_cells("scores", "held_out"),
        pixel_metrics=of_cells("pixel_metrics", "metrics", only=localizing_cells),
    output:
        decision="reports/{dataset}_decision.json",
        points="reports/{dataset}_operating_points.csv",
        cost="reports/{dataset}_cost.md",
    log:
        "logs/{dataset}/decision.log",
    benchmark:
        "benchmarks/{dataset}/decision.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        categories=lambda wildcards: all_categories(config, wildcards.dataset),
        rates=config["operating_points"],
        costs=config.get("costs"),
        code=stage_digest("write_decision"),
    script:
        "../scripts/write_decision.py"
