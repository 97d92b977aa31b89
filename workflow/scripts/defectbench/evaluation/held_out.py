"""Scores of training images by models that were fitted without them."""

import copy

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Scorer


def held_out_scores(scorer: Scorer, X: np.ndarray, folds: list[np.ndarray]) -> np.ndarray:
    """Anomaly score of every training image, by the scorer fitted on the other folds.

    Parameters
    ----------
    scorer
        Fitted on all of `X`; the scores are on its scale.
    X
        Features of the training images, one row each.
    folds
        Rows of each fold; together every row once.

    Returns
    -------
    ndarray
        float64, (n_images,).

    Raises
    ------
    InputError
        If a fold leaves too few images, as large groups can.
    """
    left = len(X) - max(map(len, folds))
    if left < scorer.fewest_images:
        raise InputError(
            f"without the largest of {len(folds)} folds {left} training images are left, the "
            f"scorer needs {scorer.fewest_images}; smaller groups or more parts are needed"
        )
    scores = np.empty(len(X))
    of_the_others = copy.copy(scorer)
    for members in folds:
        of_the_others.fit(np.delete(X, members, axis=0))
        scores[members] = of_the_others.held_out_score(X[members], scorer)
    return scores
