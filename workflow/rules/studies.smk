"""Studies: what if there are fewer images, bad ones among them, or another light?

in:  index.tsv and features (training_size, contamination); images, weights, models and held-out
     scores (robustness, the only study that runs the backbone)
out: results/{dataset}/{category}/{method}/{backbone}/studies/training_size.json, contamination.json,
     results/{dataset}/{category}/studies/robustness/{backbone}.json,
     reports/{dataset}_studies.md, .csv, a folder of plots
"""


def study(name):
    """Parameter: a study's block in the config."""
    return lookup(f"studies/{name}", within=config, default=None)


def of_study(name, rule):
    """Input function: the files of a study that the config asks for, of all detectors."""

    def files(wildcards):
        return of_cells(rule, "study")(wildcards) if name in config.get("studies", {}) else []

    return files


rule study_training_size:
    input:
        index=rules.index.output.index,
        features=method_features,
        groups=groups_file,
    output:
        study="results/{dataset}/{category}/{method}/{backbone}/studies/training_size.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/study_training_size.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/study_training_size.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(500, per_mb=6, of="features"),
        runtime=grows(20, per_mb=1, of="features"),
    params:
        scorer=lookup("methods/{method}/scorer", within=config),
        parameters=lambda wildcards: scorer_parameters(config, wildcards.method),
        group=method_group,
        layers=method_arrays,
        seed=config["seed"],
        folds=config["threshold"]["folds"],
        false_positive_rate=config["threshold"]["false_positive_rate"],
        groups=lambda wildcards: config["datasets"][wildcards.dataset].get("groups", ""),
        study=study("training_size"),
        code=scorer_digest("study_training_size"),
    script:
        "../scripts/study_training_size.py"


rule study_contamination:
    input:
        index=rules.index.output.index,
        features=method_features,
        groups=groups_file,
    output:
        study="results/{dataset}/{category}/{method}/{backbone}/studies/contamination.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/study_contamination.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/study_contamination.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(500, per_mb=6, of="features"),
        runtime=grows(20, per_mb=1, of="features"),
    params:
        scorer=lookup("methods/{method}/scorer", within=config),
        parameters=lambda wildcards: scorer_parameters(config, wildcards.method),
        group=method_group,
        layers=method_arrays,
        seed=config["seed"],
        folds=config["threshold"]["folds"],
        false_positive_rate=config["threshold"]["false_positive_rate"],
        groups=lambda wildcards: config["datasets"][wildcards.dataset].get("groups", ""),
        study=study("contamination"),
        code=scorer_digest("study_contamination"),
    script:
        "../scripts/study_contamination.py"
