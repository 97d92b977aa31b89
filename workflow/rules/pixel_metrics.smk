"""Stage pixel metrics: how well the anomaly maps of one detector mark the defects of a category.

in:  index.tsv, the masks it lists, maps.h5, and for the groups scores.tsv, held_out_scores.tsv and
     calibration_scores.tsv
out: results/{dataset}/{category}/{method}/{backbone}/pixel_metrics.json
"""


rule pixel_metrics:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        scores=rules.scores.output.scores,
        held_out=rules.scores.output.held_out,
        calibration=rules.scores.output.calibration,
        maps=rules.scores.output.maps,
    output:
        metrics="results/{dataset}/{category}/{method}/{backbone}/pixel_metrics.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/pixel_metrics.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/pixel_metrics.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY, pixel_memory),
        runtime=grows(10),
    params:
        seed=config["seed"],
        false_positive_rate=config["threshold"]["false_positive_rate"],
        rule=config["threshold"]["rule"],
        resolution=lookup("methods/{method}/resolution", within=config, default="original"),
        code=stage_digest("pixel_metrics"),
    script:
        "../scripts/pixel_metrics.py"
