"""A detector fitted on a category: scores and maps of its test images and of good ones."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.decisive import REFERENCE, WithoutDecisive, decisive
from defectbench.evaluation.held_out import (
    NumberOfFolds,
    folds,
    held_out,
    number_of_folds,
    rows_left,
)
from defectbench.evaluation.spool import Spool
from defectbench.map_file import MapFile
from defectbench.scorers.base import Scorer, judge
from defectbench.scorers.layers import Features, has_maps, number_of_images, take_images

WRITTEN_BYTES = 1 << 26
"""Of held-out maps that are read and written at once."""


class Scoring(NamedTuple):
    """What a detector says of a category.

    Attributes
    ----------
    scores, calibration
        float64, of the test images, and of the calibration images.
    left
        Rows of the training images that trimming leaves; all of them without trimming.
    folds
        Rows of `left` that were held out together.
    held_out
        float64, the held-out score of each image of `left`.
    fit_cpu_seconds, score_cpu_seconds
        Processor time of the fit, trimming included, and of scoring the test images.
    """

    scores: np.ndarray
    calibration: np.ndarray
    left: np.ndarray
    folds: list[np.ndarray]
    held_out: np.ndarray
    fit_cpu_seconds: float
    score_cpu_seconds: float


def fit_and_score(
    scorer: Scorer,
    X_train: Features,
    X_test: Features,
    X_calibration: Features,
    groups: Sequence[str],
    trimmed: float,
    n_folds: NumberOfFolds,
    seed: int,
    maps: MapFile,
) -> Scoring:
    """Fit a scorer on all training images; score test, calibration and held-out training images.

    Parameters
    ----------
    scorer
        With its parameters; fitted on return.
    X_train, X_test, X_calibration
        Features of the training images in the order of their paths, of the test images, and of the
        calibration images, of which there may be none.
    groups
        Of the training images; '' is a group of its own.
    trimmed
        Share of the training images that is left out before the fit.
    n_folds, seed
        Of the folds that are held out.
    maps
        Takes the maps of the test, the calibration and the held-out images if the detector
        localizes.

    Raises
    ------
    InputError
        If the images are too few for the scorer.
    """
    start = time.process_time()  # the clock would also count what runs beside this job
    left = np.arange(number_of_images(X_train))
    if trimmed:
        left = rows_left(scorer, X_train, groups, trimmed, n_folds, seed)
        X_train, groups = take_images(X_train, left), [groups[row] for row in left]
    split = folds(groups, number_of_folds(n_folds, scorer, groups), seed)
    scorer.fit_for_folds(X_train, split)
    fit_cpu_seconds = time.process_time() - start
    maps = maps if scorer.localizes and has_maps(X_train) else None
    scores, score_cpu_seconds = _score(scorer, X_test, "test", maps)
    calibration, _ = _score(scorer, X_calibration, "calibration", maps)
    if maps is None:
        held_out_scores = held_out(scorer, X_train, split)
    else:
        held_out_scores = _hold_out_with_maps(scorer, X_train, split, maps)
    return Scoring(
        scores,
        calibration,
        left,
        split,
        held_out_scores,
        fit_cpu_seconds,
        score_cpu_seconds,
    )


def score_without_decisive(
    scorer: Scorer,
    X_train: Features,
    X_test: Features,
    groups: Sequence[str],
    held_out_scores: np.ndarray,
    n_folds: NumberOfFolds,
    seed: int,
) -> WithoutDecisive | None:
    """Fit and score once more without the images that set a threshold alone or look like no other.

    Which ones they are is asked at `decisive.REFERENCE`, so that another rate fits nothing anew.
    A scorer whose folds take a fit each does so for images that look like no other alone.

    Parameters
    ----------
    scorer
        With its parameters; fitted on return.
    X_train, X_test, groups, n_folds, seed
        As for `fit_and_score`.
    held_out_scores
        Of the training images.

    Returns
    -------
    WithoutDecisive or None
        None where there are none, or too few others.
    """
    found = decisive(held_out_scores, groups, REFERENCE)
    slow = scorer.few_folds or scorer.most_folds
    if found is None or not (found.odd if slow else found.telling):
        return None
    left = np.setdiff1d(np.arange(len(groups)), found.rows)
    X, groups = take_images(X_train, left), [groups[row] for row in left]
    split = folds(groups, number_of_folds(n_folds, scorer, groups), seed)
    try:
        scorer.fit_for_folds(X, split)
        return WithoutDecisive(left, held_out(scorer, X, split), scorer.anomaly_score(X_test))
    except InputError:  # too few for this scorer
        return None


def _score(
    scorer: Scorer, X: Features, name: str, maps: MapFile | None
) -> tuple[np.ndarray, float]:
    """Scores of images, and the processor time of scores and maps, without writing the latter."""
    scores, seconds = np.empty(number_of_images(X)), 0.0
    if not len(scores):
        return scores, seconds
    start = time.process_time()
    for rows, own, found in judge(scorer, X, maps=maps is not None):
        seconds += time.process_time() - start
        scores[rows] = own
        if maps is not None:
            maps.write(name, len(scores), rows[0], found)
        start = time.process_time()
    return scores, seconds


def _hold_out_with_maps(
    scorer: Scorer, X: Features, split: list[np.ndarray], maps: MapFile
) -> np.ndarray:
    """Held-out scores; their maps come fold by fold and are written in the order of the images."""
    spool = Spool(maps.folder)
    scores = held_out(scorer, X, split, spool)
    order = np.argsort(np.concatenate(split))
    step = max(1, WRITTEN_BYTES // spool[0].nbytes)
    for start in range(0, len(order), step):
        block = [spool[place] for place in order[start : start + step]]
        maps.write("held_out", len(order), start, np.stack(block))
    return scores
