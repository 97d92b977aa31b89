"""Thresholds on anomaly scores: from defect-free images alone, or from the test labels."""

import math

import numpy as np

from defectbench.evaluation.image_metrics import counts_by_threshold


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


def threshold_at_false_positive_rate(held_out_scores: np.ndarray, rate: float) -> float | None:
    """Lowest threshold at which no more than a share of the defect-free images is called defective.

    Parameters
    ----------
    held_out_scores
        Anomaly scores of defect-free images that the scorer was not fitted on.
    rate
        The share, 0 to 1, for the prediction ``score >= threshold``.

    Returns
    -------
    float or None
        None without an image.
    """
    if not len(held_out_scores):
        return None
    descending = np.sort(held_out_scores)[::-1]
    allowed = int(rate * len(descending))
    if allowed == len(descending):
        return float(descending[-1])
    return float(np.nextafter(descending[allowed], np.inf))


def images_to_vouch_for(rate: float, confidence: float = 0.95) -> int | None:
    """Fewest held-out good images that can carry the claim of a false-positive rate.

    If none of n images is called defective, the rate is at most `rate` with `confidence` from
    n = ln(1 - confidence) / ln(1 - rate) on. None for a rate of 0, which no number can carry.
    """
    if rate <= 0:
        return None
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate)) if rate < 1 else 1
