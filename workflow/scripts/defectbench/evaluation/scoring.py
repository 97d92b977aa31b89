"""A detector fitted on a category: scores and maps of its test images and of held-out ones."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.decisive import REFERENCE, decisive
from defectbench.evaluation.held_out import (
    NumberOfFolds,
    folds,
    held_out,
    number_of_folds,
    rows_left,
)
from defectbench.evaluation.spool import Spool
from defectbench.images.index import IndexRow
from defectbench.map_file import MapFile
from defectbench.scorers.base import Scorer, judge
from defectbench.scorers.layers import Features, has_maps, number_of_images, take_images

WRITTEN_BYTES = 1 << 26
"""Of held-out maps that are read and written at once."""


class Scoring(NamedTuple):
    """What a detector says of a category.

    Attributes
    ----------
    scores
        float64, of the test images.
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
    left: np.ndarray
    folds: list[np.ndarray]
    held_out: np.ndarray
    fit_cpu_seconds: float
    score_cpu_seconds: float


class WithoutOdd(NamedTuple):
    """What a detector says that was fitted without odd training images.

    Attributes
    ----------
    left
        Rows of the training images that are left.
    held_out
        float64, the held-out score of each of them.
    test
        float64, of the test images.
    """

    left: np.ndarray
    held_out: np.ndarray
    test: np.ndarray

    def contents(self, rows: Sequence[IndexRow]) -> dict[str, Any]:
        """For ``without_odd.json``, with the names of the training images."""
        odd = np.setdiff1d(np.arange(len(rows)), self.left)
        return {
            "left_out": [rows[row].path for row in odd],
            "groups": [rows[row].group for row in self.left],
            "held_out_scores": self.held_out.tolist(),
            "test_scores": self.test.tolist(),
        }


def fit_and_score(
    scorer: Scorer,
    X_train: Features,
    X_test: Features,
    groups: Sequence[str],
    trimmed: float,
    n_folds: NumberOfFolds,
    seed: int,
    maps: MapFile,
) -> Scoring:
    """Fit a scorer on all training images, and score test images and held-out training images.

    Parameters
    ----------
    scorer
        With its parameters; fitted on return.
    X_train, X_test
        Features of the training images in the order of their paths, and of the test images.
    groups
        Of the training images; '' is a group of its own.
    trimmed
        Share of the training images that is left out before the fit.
    n_folds, seed
        Of the folds that are held out.
    maps
        Takes the maps of the test images, then those of the held-out images, if the detector
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
    if scorer.localizes and has_maps(X_train):
        scores, score_cpu_seconds = _score_and_map(scorer, X_test, maps)
        held_out_scores = _hold_out_with_maps(scorer, X_train, split, maps)
    else:
        start = time.process_time()
        scores = scorer.anomaly_score(X_test)
        score_cpu_seconds = time.process_time() - start
        held_out_scores = held_out(scorer, X_train, split)
    return Scoring(
        scores,
        left,
        split,
        held_out_scores,
        fit_cpu_seconds,
        score_cpu_seconds,
    )


def score_without_odd(
    scorer: Scorer,
    X_train: Features,
    X_test: Features,
    groups: Sequence[str],
    held_out_scores: np.ndarray,
    n_folds: NumberOfFolds,
    seed: int,
) -> WithoutOdd | None:
    """Fit and score once more without the images that set a threshold alone and look like no other.

    Which ones they are is asked at `decisive.REFERENCE`, so that another rate fits nothing anew.

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
    WithoutOdd or None
        None where there are none, or too few others.
    """
    found = decisive(held_out_scores, groups, REFERENCE)
    if found is None or not found.odd:
        return None
    left = np.setdiff1d(np.arange(len(groups)), found.rows)
    X, groups = take_images(X_train, left), [groups[row] for row in left]
    split = folds(groups, number_of_folds(n_folds, scorer, groups), seed)
    try:
        scorer.fit_for_folds(X, split)
        return WithoutOdd(left, held_out(scorer, X, split), scorer.anomaly_score(X_test))
    except InputError:  # too few for this scorer
        return None


def _score_and_map(scorer: Scorer, X: Features, maps: MapFile) -> tuple[np.ndarray, float]:
    """Scores of the test images, and the processor time of scores and maps, without writing."""
    scores, seconds = np.empty(number_of_images(X)), 0.0
    start = time.process_time()
    for rows, own, found in judge(scorer, X, maps=True):
        seconds += time.process_time() - start
        scores[rows] = own
        maps.write("test", len(scores), rows[0], found)
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
