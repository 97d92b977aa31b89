"""Studies: what if there are fewer images, bad ones among them, or another light?

in:  index.tsv and features (training_size, contamination, across); images, weights, models, scores
     and held-out scores (robustness, the only study that runs the backbone)
out: results/{dataset}/{category}/{method}/{backbone}/studies/training_size.json, contamination.json,
     across.json, results/{dataset}/{category}/studies/robustness/{backbone}.json,
     reports/{dataset}_studies.md, .csv, a folder of plots
"""

# what all studies share, and what those share that fit detectors on cached features
study_threshold = {"seed": config["seed"], **config["threshold"]}
fitted_in_a_study = study_threshold | {
    "scorer": lookup("methods/{method}/scorer", within=config),
    "parameters": lambda wildcards: scorer_parameters(config, wildcards.method),
    "trimmed": lookup("methods/{method}/trimmed", within=config, default=0),
    "features_group": method_group,
    "layers": method_arrays,
    "groups": dataset_groups,
}


rule study:
    input:
        index=rules.index.output.index,
        features=method_features,
        groups=groups_file,
    output:
        study="results/{dataset}/{category}/{method}/{backbone}/studies/{study}.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/study_{study}.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/study_{study}.jsonl"
    wildcard_constraints:
        study="training_size|contamination",
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY, study_memory),
        runtime=grows(20, per_mb=1, of="features"),
    params:
        **fitted_in_a_study,
        study=lookup("studies/{study}", within=config, default=None),
        code=scorer_digest("study"),
    script:
        "../scripts/study.py"


rule study_across:
    input:
        index=rules.index.output.index,
        features=method_features,
        groups=groups_file,
        other_indices=files_of_tests(rules.index.output.index),
        other_features=files_of_tests(features_pattern),
        other_groups=files_of_tests(groups_file),
    output:
        study="results/{dataset}/{category}/{method}/{backbone}/studies/across.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/study_across.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/study_across.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY, across_memory),
        runtime=grows(20, per_mb=1, of="features"),
    params:
        **fitted_in_a_study,
        study=study_of_crossings,
        code=scorer_digest("study_across"),
    script:
        "../scripts/study_across.py"


rule study_robustness:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        weights=backbone_weights,
        models=of_backbone_methods("scores", "model"),
        scores=of_backbone_methods("scores", "scores"),
        metrics=of_backbone_methods("metrics", "metrics"),
    output:
        study="results/{dataset}/{category}/studies/robustness/{backbone}.json",
    log:
        "logs/{dataset}/{category}/studies/robustness/{backbone}.log",
    benchmark:
        "benchmarks/{dataset}/{category}/studies/robustness/{backbone}.jsonl"
    conda:
        "../../envs/export.yaml"
    threads: threads_side_by_side
    resources:
        gpu=gpus_per_extraction,
        mem_mb=asks(0, robustness_memory, SMALLER_SQUARES),
        runtime=grows(240),
    params:
        **study_threshold,
        passes=backbone_passes,
        methods=backbone_methods,
        precision=config["precision"],
        storage=config["storage"],
        bits=lookup("datasets/{dataset}/bits", within=config, default=None),
        study=config.get("studies", {}).get("robustness"),
        code=stage_digest("study_robustness"),
    script:
        "../scripts/study_robustness.py"


rule studies:
    input:
        studies=all_studies,
        templates=TEMPLATES,
    output:
        markdown="reports/{dataset}_studies.md",
        csv="reports/{dataset}_studies.csv",
        plots=directory("reports/{dataset}_studies"),
    log:
        "logs/{dataset}/studies.log",
    benchmark:
        "benchmarks/{dataset}/studies.jsonl"
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS, report_memory("studies")),
        runtime=grows(10),
    params:
        studies=some_study,
        categories=dataset_categories,
        code=stage_digest("studies"),
    script:
        "../scripts/studies.py"
