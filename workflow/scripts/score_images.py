"""Rule `scores`: anomaly scores of the test images, and of held-out training images."""

from defectbench.errors import job_log
from defectbench.evaluation.folds import folds
from defectbench.evaluation.held_out import held_out_scores
from defectbench.evaluation.held_out_check import check_held_out
from defectbench.images.groups import assign_groups, group_notes
from defectbench.images.index import read_index
from defectbench.progress import warn
from defectbench.scorers import scorer_class
from defectbench.storage import open_h5, read_arrays, write_json, write_tsv

with job_log(snakemake.log[0]):
    index = read_index(snakemake.input.index)
    if snakemake.params.groups:
        index = assign_groups(index, snakemake.params.groups, snakemake.wildcards.category)
    train = [row for row in index if row.split == "train"]
    test = [row for row in index if row.split == "test"]
    arrays, attributes = read_arrays(snakemake.input.model)
    provenance = attributes["provenance"]
    scorer = scorer_class(provenance["scorer"])(**provenance["parameters"])
    with open_h5(snakemake.input.features) as features:
        X = features[snakemake.params.group][provenance["layer"]]
        X = X[()].reshape(len(X), -1)
        X_train = X[[row.split == "train" for row in index]]
        X_test = X[[row.split == "test" for row in index]]
    scores = scorer.from_arrays(arrays).anomaly_score(X_test)
    write_tsv(
        snakemake.output.scores,
        ["path", "label", "defect", "group", "anomaly_score"],
        [
            (row.path, row.label, row.defect, row.group, repr(float(score)))
            for row, score in zip(test, scores, strict=True)
        ],
    )
    groups = [row.group for row in train]
    split = folds(groups, snakemake.params.folds, snakemake.params.seed)
    held_out = held_out_scores(scorer, X_train, split)
    write_tsv(
        snakemake.output.held_out,
        ["path", "group", "fold", "anomaly_score"],
        [
            (train[row].path, groups[row], fold, repr(float(held_out[row])))
            for fold, members in enumerate(split)
            for row in members
        ],
    )
    check = check_held_out(scorer, X_train, groups, held_out, snakemake.params.folds)
    if snakemake.params.groups or any(groups):
        check["warnings"] += group_notes(index)
    for warning in check["warnings"]:
        warn(f"{'/'.join(snakemake.wildcards)}: {warning}")
    write_json(snakemake.output.check, check)
