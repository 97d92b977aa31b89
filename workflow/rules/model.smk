"""Stage model: a scorer fitted on the training images' features.

in:  index.tsv, features
out: results/{dataset}/{category}/{method}/{backbone}/model.h5
"""


rule model:
    input:
        index=rules.index.output.index,
        features=method_features,
    output:
        model="results/{dataset}/{category}/{method}/{backbone}/model.h5",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/model.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/model.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 2
    resources:
        mem_mb=grows(500, per_mb=3, of="features"),
        runtime=grows(5, per_mb=1 / 60, of="features"),
    params:
        scorer=lookup("methods/{method}/scorer", within=config),
        parameters=lambda wildcards: scorer_parameters(config, wildcards.method),
        group=method_group,
        tap=method_tap,
        code=scorer_digest("fit_model"),
    script:
        "../scripts/fit_model.py"
