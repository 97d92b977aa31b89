"""Stage model: a scorer fitted on the training images' features.

in:  index.tsv, features
out: results/{dataset}/{category}/{method}/{backbone}/model.h5
"""


def method_features(wildcards):
    """Feature file of a method's preprocessing and backbone."""
    preprocessing = config["methods"][wildcards.method]["preprocessing"]
    return rules.features.output.features.format(preprocessing=preprocessing, **wildcards)


def method_tap(wildcards):
    """Name of the array in the feature file."""
    method = config["methods"][wildcards.method]
    return f"{method['layer']}/pool{method['pool']}"


def scorer_digest(wildcards):
    return code_digest(f"scorers.{config['methods'][wildcards.method]['scorer']}")


rule model:
    input:
        index=rules.index.output.index,
        features=method_features,
    output:
        model="results/{dataset}/{category}/{method}/{backbone}/model.h5",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/model.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/model.tsv"
    conda:
        "../../envs/numeric.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        scorer=lookup("methods/{method}/scorer", within=config),
        parameters=lambda wildcards: scorer_parameters(config, wildcards.method),
        tap=method_tap,
        code=scorer_digest,
    script:
        "../scripts/fit_model.py"
