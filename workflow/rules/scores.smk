"""Stage scores: the anomaly score of every test image, and of every training image held out once.

in:  index.tsv, features, model.h5, the dataset's CSV of groups if the config names one
out: results/{dataset}/{category}/{method}/{backbone}/scores.tsv, held_out_scores.tsv,
     held_out_check.json (what speaks for groups)
"""


rule scores:
    input:
        index=rules.index.output.index,
        features=method_features,
        model=rules.model.output.model,
        groups=groups_file,
    output:
        scores="results/{dataset}/{category}/{method}/{backbone}/scores.tsv",
        held_out="results/{dataset}/{category}/{method}/{backbone}/held_out_scores.tsv",
        check="results/{dataset}/{category}/{method}/{backbone}/held_out_check.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/scores.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/scores.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 2
    resources:
        mem_mb=grows(500, per_mb=4, of="features"),
        runtime=grows(5, per_mb=1 / 15, of="features"),
    params:
        group=method_group,
        seed=config["seed"],
        folds=config["threshold"]["folds"],
        groups=lambda wildcards: config["datasets"][wildcards.dataset].get("groups", ""),
        code=scorer_digest("score_images"),
    script:
        "../scripts/score_images.py"
