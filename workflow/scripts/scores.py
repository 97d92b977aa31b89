"""Rule `scores`: fit a detector on the training images, score the test images and held-out ones."""

import resource
import time
from pathlib import Path

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.held_out import folds, held_out, rows_left
from defectbench.evaluation.held_out_check import check_held_out
from defectbench.images.groups import assign_groups, group_notes
from defectbench.images.index import dataset_digest, read_index
from defectbench.progress import warn
from defectbench.scorers import scorer_class
from defectbench.scorers.base import has_maps, take_images
from defectbench.storage import (
    open_h5,
    read_attributes,
    read_json,
    write_arrays,
    write_json,
    write_tsv,
)

with job_log(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    index = read_index(snakemake.input.index)
    if params.groups:
        index = assign_groups(index, params.groups, snakemake.wildcards.category)
    train = [row for row in index if row.split == "train"]
    test = [row for row in index if row.split == "test"]
    with open_h5(snakemake.input.features) as file:
        provenance = read_attributes(file[params.features_group])["provenance"]
        layers = [file[params.features_group][name][()] for name in params.layers]
    X = layers if len(layers) > 1 else layers[0]
    X_train = take_images(X, [row.split == "train" for row in index])
    X_test = take_images(X, [row.split == "test" for row in index])
    del X, layers

    start = time.process_time()  # the clock would also count what runs beside this job
    scorer = scorer_class(params.scorer)(**params.parameters)
    parameters, left_out = params.parameters, []
    if params.trimmed:
        groups = [row.group for row in train]
        left = rows_left(scorer, X_train, groups, params.trimmed, params.folds, params.seed)
        X_train = take_images(X_train, left)
        left_out = [train[row].path for row in np.setdiff1d(np.arange(len(train)), left)]
        train = [train[row] for row in left]
        parameters = parameters | {"trimmed": params.trimmed}
    scorer.fit(X_train)
    fit_cpu_seconds = time.process_time() - start
    provenance |= {
        "dataset_sha256": dataset_digest(index),
        "layers": params.layers,
        "scorer": params.scorer,
        "parameters": parameters,
        "folds": params.folds,
        "groups": params.groups,
        "code_scorer": params.code["code"],
    }
    write_arrays(output.model, scorer.to_arrays(), {"provenance": provenance})
    has_place = scorer.localizes and has_maps(X_train)
    start = time.process_time()
    if has_place:
        scores, maps = scorer.score_and_map(X_test)
    else:
        scores = scorer.anomaly_score(X_test)
    score_cpu_seconds = time.process_time() - start
    write_tsv(
        output.scores,
        ["path", "label", "defect", "group", "anomaly_score"],
        [
            (row.path, row.label, row.defect, row.group, repr(float(score)))
            for row, score in zip(test, scores, strict=True)
        ],
    )

    groups = [row.group for row in train]
    split = folds(groups, params.folds, params.seed)
    found = held_out(scorer, X_train, split, maps=has_place)
    write_tsv(
        output.held_out,
        ["path", "group", "fold", "anomaly_score"],
        [
            (train[row].path, groups[row], fold, repr(float(found.scores[row])))
            for fold, members in enumerate(split)
            for row in members
        ],
    )
    both = {"test": maps, "held_out": found.maps} if has_place else {}
    write_arrays(output.maps, both, {"provenance": provenance})
    check = check_held_out(scorer, X_train, groups, found.scores, params.folds)
    if params.groups or any(groups):
        check["warnings"] += group_notes(index)
    for warning in check["warnings"]:
        warn(f"{'/'.join(snakemake.wildcards)}: {warning}")
    write_json(output.check, check | {"left_out": left_out})
    extraction_cost = read_json(snakemake.input.extraction_cost)
    write_json(
        output.cost,
        {
            "extract_ms_per_image": extraction_cost[params.features_group],
            "score_cpu_ms_per_image": 1000 * score_cpu_seconds / len(test),
            "fit_cpu_seconds": fit_cpu_seconds,
            "model_bytes": Path(output.model).stat().st_size,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        },
    )
