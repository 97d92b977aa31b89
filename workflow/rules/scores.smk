"""Stage scores: the anomaly score of every test image.

in:  index.tsv, features, model.h5
out: results/{dataset}/{category}/{method}/{backbone}/scores.tsv
"""


rule scores:
    input:
        index=rules.index.output.index,
        features=method_features,
        model=rules.model.output.model,
    output:
        scores="results/{dataset}/{category}/{method}/{backbone}/scores.tsv",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/scores.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/scores.tsv"
    conda:
        "../../envs/numeric.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=scorer_digest,
    script:
        "../scripts/score_images.py"
