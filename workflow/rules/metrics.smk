"""Stage metrics: image-level metrics of one detector on one category.

in:  index.tsv, model.h5 (for what made it), scores.tsv, held_out_scores.tsv, calibration_scores.tsv,
     without_decisive.json
out: results/{dataset}/{category}/{method}/{backbone}/metrics.json, replicates.h5 (bootstrap)
"""


rule metrics:
    input:
        index=rules.index.output.index,
        model=rules.scores.output.model,
        scores=rules.scores.output.scores,
        held_out=rules.scores.output.held_out,
        calibration=rules.scores.output.calibration,
        without_decisive=rules.scores.output.without_decisive,
    output:
        metrics="results/{dataset}/{category}/{method}/{backbone}/metrics.json",
        replicates="results/{dataset}/{category}/{method}/{backbone}/replicates.h5",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/metrics.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/metrics.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY + memory.RESAMPLED),
        runtime=grows(5),
    params:
        seed=config["seed"],
        false_positive_rate=config["threshold"]["false_positive_rate"],
        rule=config["threshold"]["rule"],
        code=stage_digest("metrics"),
    script:
        "../scripts/metrics.py"
