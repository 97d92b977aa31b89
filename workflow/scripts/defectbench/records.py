"""What stages tell each other of a detector on a category: its model, its scores and its metrics.

Each file is written and read here alone. Snakemake names the files, `storage` makes them complete
or absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np

from defectbench.images.index import IndexRow
from defectbench.storage import (
    open_h5,
    read_arrays,
    read_attributes,
    read_json,
    read_tsv,
    write_arrays,
    write_json,
    write_tsv,
)


class Specification(TypedDict):
    """What a model is and what decided its numbers; stored in ``model.h5`` and carried along.

    Of features that were made elsewhere, what is not known of them is empty.

    Attributes
    ----------
    scorer, parameters
        Name of the scorer and the constructor's parameters; ``trimmed`` among them where the
        method leaves training images out.
    layers
        Arrays of the feature file that the scorer reads, such as ``layer3/pool2``.
    preprocessing, bits
        The entry of ``preprocessings`` in the config, and the dataset's key ``bits``.
    precision, device, weights_sha256
        Of the backbone.
    storage
        Precision in which its features were stored.
    analysis
        How the model was computed: ``exact``; ``randomised`` where an exact analysis of principal
        components did not fit in memory; ``union of selections`` of a PatchCore that keeps patches
        fold by fold; ``drawn patches: …`` where it saw so many of each image. Not of maps.
    groups, folds
        The dataset's key ``groups`` as far as it is applied after the index, and the config's
        ``threshold: {folds}``.
    images_sha256, dataset_sha256
        Digests of the images, and of images, names, splits and labels.
    versions
        Of the libraries that computed the features.
    code
        Digest of the code of each stage that has worked on it: ``features``, ``scorer``,
        ``evaluation``, ``pixel metrics``, ``study``.
    """

    scorer: str
    parameters: dict[str, Any]
    layers: list[str]
    preprocessing: dict[str, Any]
    bits: int | None
    precision: str
    storage: str
    analysis: NotRequired[str]
    device: str
    weights_sha256: str
    groups: str | dict[str, str]
    folds: int | str
    images_sha256: str
    dataset_sha256: str
    versions: dict[str, str]
    code: dict[str, str]


def with_code(specification: Specification, stage: str, digest: str) -> Specification:
    """The same after one more stage has worked on it."""
    return specification | {"code": specification["code"] | {stage: digest}}


def write_specified(
    path: str | Path, arrays: Mapping[str, np.ndarray], specification: Specification
) -> None:
    """Store arrays with the specification of the model that they are, or that made them.

    ``model.h5`` holds a fitted scorer's `to_arrays`; ``replicates.h5`` the bootstrap's replicates
    by metric.
    """
    write_arrays(path, arrays, {"specification": specification})


def read_specified(path: str | Path) -> tuple[dict[str, np.ndarray], Specification]:
    """Arrays and specification of a file made by `write_specified`."""
    arrays, attributes = read_arrays(path)
    return arrays, attributes["specification"]


def read_specification(path: str | Path) -> Specification:
    """The specification alone, without the arrays, which can be large."""
    with open_h5(path) as file:
        return read_attributes(file)["specification"]


class Scores(NamedTuple):
    """Rows of ``scores.tsv``: the test images, in the order of the index.

    Attributes
    ----------
    paths
        As in the index.
    labels
        int64, (n_images,): 1 for defective.
    defects, groups
        str, (n_images,); a group of '' is a group of its own.
    scores
        float64, (n_images,).
    """

    paths: list[str]
    labels: np.ndarray
    defects: np.ndarray
    groups: np.ndarray
    scores: np.ndarray


class HeldOutScores(NamedTuple):
    """Rows of ``held_out_scores.tsv``: training images, each scored by a model without it.

    Or those of ``calibration_scores.tsv``: images that train nothing, scored by the model itself,
    all in one fold.

    Attributes
    ----------
    paths
        As in the index; fold by fold.
    groups
        str, (n_images,); a group of '' is a group of its own.
    folds
        int64, (n_images,): which were held out together.
    scores
        float64, (n_images,).
    """

    paths: list[str]
    groups: np.ndarray
    folds: np.ndarray
    scores: np.ndarray

    def by_path(self) -> "HeldOutScores":
        """The same in the order of the paths, in which held-out maps are stored."""
        order = np.argsort(np.array(self.paths), kind="stable")
        return HeldOutScores(
            [self.paths[row] for row in order],
            *(column[order] for column in (self.groups, self.folds, self.scores)),
        )


def write_scores(path: str | Path, rows: Sequence[IndexRow], scores: np.ndarray) -> None:
    """Store the scores of test images, all digits of them."""
    write_tsv(
        path,
        ["path", "label", "defect", "group", "anomaly_score"],
        [
            (row.path, row.label, row.defect, row.group, repr(float(score)))
            for row, score in zip(rows, scores, strict=True)
        ],
    )


def read_scores(file: str | Path) -> Scores:
    """Scores of test images."""
    return Scores(*_columns(file, path=list, label=int, defect=str, group=str, anomaly_score=float))


def write_held_out(
    path: str | Path,
    rows: Sequence[IndexRow],
    folds: Sequence[np.ndarray],
    scores: np.ndarray,
) -> None:
    """Store held-out scores of training images, fold by fold, or those of calibration images.

    Parameters
    ----------
    rows, scores
        Of the images.
    folds
        Rows of each fold; without any, the file has no rows.
    """
    write_tsv(
        path,
        ["path", "group", "fold", "anomaly_score"],
        [
            (rows[place].path, rows[place].group, fold, repr(float(scores[place])))
            for fold, members in enumerate(folds)
            for place in members
        ],
    )


def read_held_out(file: str | Path) -> HeldOutScores:
    """Scores that `write_held_out` has stored."""
    return HeldOutScores(*_columns(file, path=list, group=str, fold=int, anomaly_score=float))


def _columns(file: str | Path, /, **kinds: type) -> Iterator[list[str] | np.ndarray]:
    """Columns of a TSV file: a list of texts, or an array of a kind."""
    rows = read_tsv(file)
    for name, kind in kinds.items():
        texts = [row[name] for row in rows]
        yield texts if kind is list else np.array(texts, kind)


class Metrics(TypedDict):
    """Contents of ``metrics.json``: image-level figures of one detector on one category.

    Attributes
    ----------
    dataset, category, method, backbone, seed
        Names, and what the resampling depends on.
    false_positive_rate
        The rate asked for.
    images
        ``train``, ``calibration``, ``test_good`` and ``test_defective``: how many.
    held_out_images
        How many held-out scores there are.
    thresholds
        ``oracle`` and ``honest``; None where there is none.
    promise
        What the honest one lets expect of new images: an `evaluation.promises.Promise`; its
        ``folds`` are ``calibration`` where calibration images set it.
    held_out
        An `evaluation.operating_points.operating_point`: the threshold of held-out training images,
        which is the honest one where there are no calibration images.
    metrics, intervals
        By name: the figure, None where it is not defined, and the ends of its 95 % interval.
    reasons
        Of figures that stay out of print: why.
    cautions, flags
        What the number of images does not allow to conclude, and what in a model or its folds is
        otherwise than its name or the config says, in sentences; what speaks against the detector
        at its honest threshold: names of `evaluation.cautions.FLAGS`.
    set_by
        From `evaluation.decisive.decisive_figures`.
    at_rate
        From `evaluation.at_rate.escapes_at_rate`.
    found_by_size
        From `evaluation.found_by_size.found_by_size`.
    defects
        From `evaluation.image_figures.defect_metrics`.
    worst
        ``path``, ``anomaly_score`` and ``rank_error`` of the images ranked worst.
    specification
        Of the model.
    """

    dataset: str
    category: str
    method: str
    backbone: str
    seed: int
    false_positive_rate: float
    images: dict[str, int]
    held_out_images: int
    thresholds: dict[str, float | None]
    promise: dict[str, Any]
    held_out: dict[str, Any]
    metrics: dict[str, float | int | None]
    intervals: dict[str, tuple[float, float]]
    reasons: dict[str, str]
    cautions: list[str]
    flags: list[str]
    set_by: dict[str, Any] | None
    at_rate: dict[str, Any]
    found_by_size: dict[str, Any] | None
    defects: list[dict[str, Any]]
    worst: list[dict[str, Any]]
    specification: Specification


def write_metrics(path: str | Path, metrics: Metrics) -> None:
    """Store the figures of one detector on one category."""
    write_json(path, metrics)


def read_metrics(path: str | Path) -> Metrics:
    """Figures of one detector on one category."""
    return read_json(path)
