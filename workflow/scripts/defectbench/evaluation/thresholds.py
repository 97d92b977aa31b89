"""Thresholds on anomaly scores: from defect-free images alone, or from the test labels."""

import numpy as np

from defectbench.evaluation.image_metrics import counts_by_threshold


def oracle_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Score of the test precision-recall curve's point with the largest F1.

    It is chosen on the test labels themselves, so no user can reach it knowingly: an upper bound,
    and the published protocol. Of several such points, the one of the lowest score.
    """
    true_positives, false_positives, thresholds = counts_by_threshold(labels, scores)
    f1 = 2 * true_positives / (true_positives + false_positives + (labels == 1).sum())
    return float(thresholds[np.flatnonzero(f1 == f1.max())[-1]])


def threshold_at_false_positive_rate(held_out_scores: np.ndarray, rate: float) -> float:
    """Lowest threshold at which no more than a share of the defect-free images is called defective.

    Parameters
    ----------
    held_out_scores
        Anomaly scores of defect-free images that the scorer was not fitted on.
    rate
        The share, 0 to 1, for the prediction ``score >= threshold``.
    """
    descending = np.sort(held_out_scores)[::-1]
    allowed = int(rate * len(descending))
    if allowed == len(descending):
        return float(descending[-1])
    return float(np.nextafter(descending[allowed], np.inf))
