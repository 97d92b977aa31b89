"""Thresholds on given scores: by the test labels, or for a share of the images themselves.

One that is to keep a rate on images that nobody has seen yet: `promises`.
"""

import numpy as np

from defectbench.evaluation.image_metrics import counts_by_threshold

ROUNDING = 1e-9
"""A product that is short of a whole number by less is that number: 0.29 × 100 is 29."""


def oracle_threshold(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Score of the test precision-recall curve's point with the largest F1.

    It is chosen on the test labels themselves, so no user can reach it knowingly: an upper bound
    of F1, though not of other metrics, and the published protocol. Of several such points, the
    one of the lowest score. None unless both classes occur.
    """
    if len(np.unique(labels)) < 2:
        return None
    true_positives, false_positives, thresholds = counts_by_threshold(labels, scores)
    f1 = 2 * true_positives / (true_positives + false_positives + (labels == 1).sum())
    return float(thresholds[np.flatnonzero(f1 == f1.max())[-1]])


def threshold_at_false_positive_rate(good_scores: np.ndarray, rate: float) -> float | None:
    """Lowest threshold at which no more than a share of these images is called defective.

    Of these very images and no others: what new ones do is another question, see `promises`.

    Parameters
    ----------
    good_scores
        Anomaly scores of defect-free images.
    rate
        The share, 0 to 1, for the prediction ``score >= threshold``.

    Returns
    -------
    float or None
        None without an image.
    """
    if not len(good_scores):
        return None
    return just_above(good_scores, np.ones(len(good_scores)), rate * len(good_scores))[0]


def just_above(scores: np.ndarray, weights: np.ndarray, most: float) -> tuple[float, float]:
    """Lowest threshold that scores of no more than some weight in all reach, and their weight.

    Equal scores reach a threshold all or none, so that ties can only make it stricter.

    Parameters
    ----------
    scores, weights
        float64, (n_images,), at least one.
    most
        Weight that may reach the threshold, up to rounding.
    """
    descending = np.argsort(-scores, kind="stable")
    total = np.cumsum(weights[descending])
    allowed = int(np.searchsorted(total, most + ROUNDING, side="right"))
    if allowed == len(scores):
        return float(scores.min()), float(total[-1])
    threshold = float(np.nextafter(scores[descending[allowed]], np.inf))
    return threshold, float(weights[scores >= threshold].sum())
