"""A detector fitted on a category: scores and maps of its test images and of held-out ones."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.held_out import folds, held_out, rows_left
from defectbench.evaluation.held_out_check import check_held_out
from defectbench.scorers.base import Features, Scorer, has_maps, number_of_images, take_images


class Scoring(NamedTuple):
    """What a detector says of a category.

    Attributes
    ----------
    scores
        float64, of the test images.
    maps
        By ``test`` and ``held_out``, float32, (n_images, rows, columns); empty where the detector
        does not localize.
    left
        Rows of the training images that trimming leaves; all of them without trimming.
    folds
        Rows of `left` that were held out together.
    held_out
        float64, the held-out score of each image of `left`.
    check
        From `held_out_check.check_held_out`.
    fit_cpu_seconds, score_cpu_seconds
        Processor time of the fit, trimming included, and of scoring the test images.
    """

    scores: np.ndarray
    maps: dict[str, np.ndarray]
    left: np.ndarray
    folds: list[np.ndarray]
    held_out: np.ndarray
    check: dict[str, Any]
    fit_cpu_seconds: float
    score_cpu_seconds: float


def fit_and_score(
    scorer: Scorer,
    X_train: Features,
    X_test: Features,
    groups: Sequence[str],
    trimmed: float,
    n_folds: int,
    seed: int,
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
    scorer.fit(X_train)
    fit_cpu_seconds = time.process_time() - start
    localizes = scorer.localizes and has_maps(X_train)
    start = time.process_time()
    if localizes:
        scores, maps = scorer.score_and_map(X_test)
    else:
        scores = scorer.anomaly_score(X_test)
    score_cpu_seconds = time.process_time() - start
    split = folds(groups, n_folds, seed)
    found = held_out(scorer, X_train, split, maps=localizes)
    return Scoring(
        scores,
        {"test": maps, "held_out": found.maps} if localizes else {},
        left,
        split,
        found.scores,
        check_held_out(scorer, X_train, groups, found.scores, n_folds),
        fit_cpu_seconds,
        score_cpu_seconds,
    )
