"""Scores of training images by models that were fitted without them."""

import numpy as np

from defectbench.scorers.base import Scorer


def held_out_scores(scorer: Scorer, X: np.ndarray, folds: list[np.ndarray]) -> np.ndarray:
    """Anomaly score of every training image, by the scorer fitted on the other folds.

    Parameters
    ----------
    scorer
        Is fitted anew for every fold, and left fitted on the last one's rest.
    X
        Features of the training images, one row each.
    folds
        Rows of each fold; together every row once.

    Returns
    -------
    ndarray
        float64, (n_images,).
    """
    scores = np.empty(len(X))
    for members in folds:
        scorer.fit(np.delete(X, members, axis=0))
        scores[members] = scorer.anomaly_score(X[members])
    return scores
