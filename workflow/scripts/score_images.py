"""Rule `scores`: anomaly scores of the test images, and of held-out training images."""

from defectbench.errors import job_log
from defectbench.evaluation.held_out import held_out_scores
from defectbench.evaluation.resampling import folds
from defectbench.images.index import read_index
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
        X = X[()].reshape(len(X), -1)
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
    split = folds(len(train), snakemake.params.folds, snakemake.params.seed)
    held_out = held_out_scores(scorer, X_train, split)
    write_tsv(
        snakemake.output.held_out,
        ["path", "fold", "anomaly_score"],
        [
            (train[row].path, fold, repr(float(held_out[row])))
            for fold, members in enumerate(split)
            for row in members
        ],
    )
