"""Rule `study_robustness`: perturbed test images against frozen detectors and thresholds."""

from pathlib import Path

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass, Tap
from defectbench.images.groups import assign_groups
from defectbench.images.index import read_index
from defectbench.progress import Progress
from defectbench.scorers import scorer_class
from defectbench.storage import read_arrays, read_tsv, write_json
from defectbench.studies.perturbed_features import ImageFile, Perturbation, perturbed_features
from defectbench.studies.robustness import CLEAN, frozen_level, reset_level
from defectbench.studies.trial import Settings

with job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    index = read_index(given.index)
    if params.groups:
        index = assign_groups(index, params.groups, wildcards.category)
    test = [row for row in index if row.split == "test"]
    labels = np.array([row.label for row in test])
    groups = np.array([row.group for row in test], str)
    settings = Settings(params.false_positive_rate, params.folds, params.seed)
    passes = [
        Pass(
            entry["preprocessing"],
            entry["settings"],
            entry["backbone"],
            Path(given.weights),
            tuple(Tap(*tap) for tap in entry["taps"]),
        )
        for entry in params.passes
    ]
    perturbations = [
        Perturbation(name, severity)
        for name, severities in params.study.items()
        for severity in severities
    ]

    scorers, thresholds, provenance = {}, {}, {}
    scores = {}
    for name, model, held_out, clean in zip(
        params.methods, given.models, given.held_out, given.scores, strict=True
    ):
        method = params.methods[name]
        arrays, attributes = read_arrays(model)
        scorers[name] = scorer_class(method["scorer"])(**method["parameters"]).from_arrays(arrays)
        provenance[name] = attributes["provenance"] | {"code_study": params.code["code"]}
        good = np.array([float(row["anomaly_score"]) for row in read_tsv(held_out)])
        thresholds[name] = threshold_at_false_positive_rate(good, params.false_positive_rate)
        unchanged = [float(row["anomaly_score"]) for row in read_tsv(clean)]
        scores[name] = {each: [] for each in perturbations} | {
            Perturbation(CLEAN, 0): [np.array(unchanged)]
        }

    progress = Progress(len(test), "robustness " + "/".join(wildcards))
    for block in perturbed_features(
        [ImageFile(Path(given.category, row.path), row.sha256) for row in test],
        perturbations,
        passes,
        # not a parameter: where features are computed does not make them others
        Machine(snakemake.config["device"], params.precision, snakemake.threads),
        params.seed,
        params.bits,
    ):
        for perturbation, features in block.items():
            for name, scorer in scorers.items():
                method = params.methods[name]
                layers = [features[method["group"]][layer] for layer in method["layers"]]
                X = layers if len(layers) > 1 else layers[0]
                scores[name][perturbation].append(scorer.anomaly_score(X))
        progress.advance(len(layers[0]))

    methods = {}
    for name, found in scores.items():
        levels = []
        for perturbation, parts in found.items():
            varied = {"perturbation": perturbation.name, "level": perturbation.severity}
            values, category = np.concatenate(parts), wildcards.category
            levels += [
                frozen_level(varied, labels, groups, values, thresholds[name], settings, category),
                reset_level(varied, labels, groups, values, settings, category),
            ]
        methods[name] = {"levels": levels, "provenance": provenance[name]}
    write_json(
        snakemake.output.study,
        {
            **dict(wildcards),
            "study": "robustness",
            "settings": params.study,
            **settings._asdict(),
            "images": {
                "train": sum(row.split == "train" for row in index),
                "test_good": int((labels == 0).sum()),
                "test_defective": int((labels == 1).sum()),
            },
            "methods": methods,
        },
    )
