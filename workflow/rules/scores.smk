"""Stage scores: a detector fitted on a category's training images, and what it says of the others.

in:  index.tsv, features, the dataset's CSV of groups if the config names one
out: results/{dataset}/{category}/{method}/{backbone}/model.h5, scores.tsv (test images),
     held_out_scores.tsv (every training image that trimming leaves, held out once),
     calibration_scores.tsv (good images that train nothing; without any, no rows),
     held_out_check.json (what speaks for groups of those that set the threshold; what trimming left
     out),
     without_decisive.json (scores by a detector without the images that set the threshold alone),
     maps.h5 (of all three; empty for a detector that does not localize), cost.json
"""


rule scores:
    input:
        index=rules.index.output.index,
        features=method_features,
        extraction_cost=rules.features.output.cost,
        groups=groups_file,
    output:
        model="results/{dataset}/{category}/{method}/{backbone}/model.h5",
        scores="results/{dataset}/{category}/{method}/{backbone}/scores.tsv",
        held_out="results/{dataset}/{category}/{method}/{backbone}/held_out_scores.tsv",
        calibration="results/{dataset}/{category}/{method}/{backbone}/calibration_scores.tsv",
        check="results/{dataset}/{category}/{method}/{backbone}/held_out_check.json",
        without_decisive="results/{dataset}/{category}/{method}/{backbone}/without_decisive.json",
        maps="results/{dataset}/{category}/{method}/{backbone}/maps.h5",
        cost="results/{dataset}/{category}/{method}/{backbone}/cost.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/scores.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/scores.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY, scoring_memory),
        runtime=grows(10, per_mb=1 / 5, of="features"),
    params:
        scorer=lookup("methods/{method}/scorer", within=config),
        parameters=lambda wildcards: scorer_parameters(config, wildcards.method),
        trimmed=lookup("methods/{method}/trimmed", within=config, default=0),
        features_group=method_group,
        layers=method_arrays,
        seed=config["seed"],
        folds=config["threshold"]["folds"],
        groups=dataset_groups,
        code=scorer_digest("scores"),
    script:
        "../scripts/scores.py"
