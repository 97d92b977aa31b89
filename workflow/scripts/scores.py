"""Rule `scores`: fit a detector on the training images, score all others and held-out ones."""

from pathlib import Path

import numpy as np

from defectbench import records
from defectbench.errors import job_log
from defectbench.evaluation.covered import without_padding
from defectbench.evaluation.decisive import write_without_decisive
from defectbench.evaluation.held_out_check import CALIBRATION, check_held_out
from defectbench.evaluation.scoring import fit_and_score, score_without_decisive
from defectbench.features.feature_file import open_layers
from defectbench.images.canvas import covers
from defectbench.images.index import (
    SPLITS,
    dataset_digest,
    group_notes,
    join_copies,
    read_grouped_index,
)
from defectbench.map_file import create_maps
from defectbench.progress import warn
from defectbench.provenance import peak_memory_mb
from defectbench.scorers import scorer_class
from defectbench.scorers.largest_tile import of_features
from defectbench.scorers.layers import take_images
from defectbench.storage import read_json, write_json

with (
    job_log(snakemake.log[0], named=True),
    open_layers(
        snakemake.input.features, snakemake.params.features_group, snakemake.params.layers
    ) as (X, made),
):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    named = read_grouped_index(given.index, params.groups, snakemake.wildcards.category)
    index = join_copies(named)
    train, calibration, test = ([row for row in index if row.split == split] for split in SPLITS)
    kind = scorer_class(params.scorer)
    X = without_padding(X, index, made["preprocessing"], kind)
    X_train, X_calibration, X_test = (
        take_images(X, [row.split == split for row in index]) for split in SPLITS
    )
    del X  # or it would be in memory twice

    scorer = of_features(kind(**params.parameters), X_train)
    groups = [row.group for row in train]
    trimmed = {"trimmed": params.trimmed} if params.trimmed else {}
    made |= {
        "scorer": params.scorer,
        "parameters": params.parameters | trimmed,
        "layers": params.layers,
        "groups": params.groups,
        "folds": params.folds,
        "dataset_sha256": dataset_digest(index),
    }
    specification = records.with_code(made, "scorer", params.code["code"])
    settings = (params.trimmed, params.folds, params.seed)
    with create_maps(output.maps, specification) as maps:
        found = fit_and_score(scorer, X_train, X_test, X_calibration, groups, *settings, maps)

    fitted = specification | {"analysis": scorer.analysis_}
    records.write_specified(output.model, scorer.to_arrays(), fitted)
    records.write_scores(output.scores, test, found.scores)
    kept = [train[row] for row in found.left]
    records.write_held_out(output.held_out, kept, found.folds, found.held_out)
    of_calibration = [np.arange(len(calibration))] if calibration else []
    records.write_held_out(output.calibration, calibration, of_calibration, found.calibration)
    if params.trimmed:
        X_train, groups = take_images(X_train, found.left), [row.group for row in kept]
    without_decisive = None
    if not calibration:  # which set the threshold and train nothing
        scorer = of_features(kind(**params.parameters), X_train)
        without_decisive = score_without_decisive(
            scorer, X_train, X_test, groups, found.held_out, params.folds, params.seed
        )
    write_without_decisive(output.without_decisive, kept, without_decisive)
    left_out = np.setdiff1d(np.arange(len(train)), found.left)
    notes = group_notes(named) if params.groups or any(row.group for row in named) else []
    if calibration:
        paths, groups = zip(*((row.path, row.group) for row in calibration), strict=True)
        check = check_held_out(X_calibration, groups, paths, CALIBRATION)
    else:
        # what lies beyond an image of another shape repeats its border, in each of them alike
        whole = [covers(made["preprocessing"], row.height, row.width) for row in kept]
        compared = [row for row, covered in zip(kept, whole, strict=True) if covered]
        check = check_held_out(
            take_images(X_train, whole),
            [row.group for row in compared],
            [row.path for row in compared],
        )
    check["warnings"] += notes
    for warning in check["warnings"]:
        warn(f"{'/'.join(snakemake.wildcards)}: {warning}")
    write_json(output.check, check | {"left_out": [train[row].path for row in left_out]})
    write_json(
        output.cost,
        {
            "extract_ms_per_image": read_json(given.extraction_cost)[params.features_group],
            "score_cpu_ms_per_image": 1000 * found.score_cpu_seconds / len(test),
            "fit_cpu_seconds": found.fit_cpu_seconds,
            "model_bytes": Path(output.model).stat().st_size,
            "peak_mb": peak_memory_mb(),
        },
    )
