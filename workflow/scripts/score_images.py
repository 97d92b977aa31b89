"""Rule `scores`: anomaly scores of the test images, and of held-out training images."""

import numpy as np

from defectbench.datasets import read_index
from defectbench.errors import job_log
from defectbench.evaluation import folds
from defectbench.scorers import scorer_class
from defectbench.storage import open_h5, read_arrays, write_tsv

with job_log(snakemake.log[0]):
    index = read_index(snakemake.input.index)
    train = [row for row in index if row.split == "train"]
    test = [row for row in index if row.split == "test"]
    arrays, attributes = read_arrays(snakemake.input.model)
    provenance = attributes["provenance"]
    scorer = scorer_class(provenance["scorer"])(**provenance["parameters"])
    with open_h5(snakemake.input.features) as features:
        X = features[provenance["layer"]]
        X_train = X[[row.split == "train" for row in index]]
        X_test = X[[row.split == "test" for row in index]]
    scores = scorer.from_arrays(arrays).anomaly_score(X_test)
    write_tsv(
        snakemake.output.scores,
        ["path", "label", "defect", "anomaly_score"],
        [
            (row.path, row.label, row.defect, repr(float(score)))
            for row, score in zip(test, scores, strict=True)
        ],
    )
    held_out_rows = []
    split = folds(len(train), snakemake.params.folds, snakemake.params.seed)
    for fold, members in enumerate(split):
        scorer.fit(np.delete(X_train, members, axis=0))
        for member, score in zip(members, scorer.anomaly_score(X_train[members]), strict=True):
            held_out_rows.append((train[member].path, fold, repr(float(score))))
    write_tsv(snakemake.output.held_out, ["path", "fold", "anomaly_score"], held_out_rows)
