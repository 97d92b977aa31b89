"""Rule `study_across`: a detector and its threshold on the test images of other categories."""

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.robustness import frozen_level, reset_level
from defectbench.evaluation.studies import Settings, read_category
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.scorers import scorer_class
from defectbench.scorers.base import take_images
from defectbench.storage import read_arrays, read_tsv, write_json

with job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    settings = Settings(params.false_positive_rate, params.folds, params.seed)
    arrays, attributes = read_arrays(given.model)
    scorer = scorer_class(params.scorer)(**params.parameters).from_arrays(arrays)
    held_out = np.array([float(row["anomaly_score"]) for row in read_tsv(given.held_out)])
    threshold = threshold_at_false_positive_rate(held_out, settings.false_positive_rate)
    levels, images = [], {}
    for name, index, features in zip(params.study, given.indices, given.features, strict=True):
        judged, _ = read_category(index, features, params.group, params.layers, params.groups, name)
        scores = scorer.anomaly_score(take_images(judged.X, judged.test))
        labels, groups = judged.labels[judged.test], judged.groups[judged.test]
        images = images or judged.images  # the first is the detector's own category
        levels += [
            frozen_level({"level": name}, labels, groups, scores, threshold, settings, name),
            reset_level({"level": name}, labels, groups, scores, settings, name),
        ]
    write_json(
        snakemake.output.study,
        {
            **dict(wildcards),
            "study": "across",
            "settings": params.study,
            **settings._asdict(),
            "images": images,
            "levels": levels,
            "provenance": attributes["provenance"] | {"code_study": params.code["code"]},
        },
    )
