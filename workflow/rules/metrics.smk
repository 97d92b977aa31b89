"""Stage metrics: image-level metrics of one detector on one category.

in:  index.tsv, model.h5 (for what made it), scores.tsv
out: results/{dataset}/{category}/{method}/{backbone}/metrics.json
"""


rule metrics:
    input:
        index=rules.index.output.index,
        model=rules.model.output.model,
        scores=rules.scores.output.scores,
    output:
        metrics="results/{dataset}/{category}/{method}/{backbone}/metrics.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/metrics.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/metrics.tsv"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        seed=config["seed"],
        code=code_digest("evaluation"),
    script:
        "../scripts/evaluate_scores.py"
