"""Image-level metrics. Label 1 is defective; a higher anomaly score means more anomalous."""

from typing import NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """Counts at a threshold; defective is the positive class."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a true positive."""
        positives = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / positives if positives else 0.0

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the recalls of both classes; None unless both occur."""
        defective = self.true_positives + self.false_negatives
        good = self.true_negatives + self.false_positives
        if not defective or not good:
            return None
        return (self.true_positives / defective + self.true_negatives / good) / 2


def image_auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: share of (good, defective) pairs in the right order, ties half.

    Parameters
    ----------
    labels
        0 or 1, (n_images,).
    scores
        Anomaly scores, (n_images,).

    Returns
    -------
    float or None
        None unless both classes occur.
    """
    good = np.sort(scores[labels == 0])
    defective = scores[labels == 1]
    if not len(good) or not len(defective):
        return None
    below = np.searchsorted(good, defective, side="left")
    not_above = np.searchsorted(good, defective, side="right")
    return float((below + not_above).sum() / (2 * len(good) * len(defective)))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the precision-recall curve, as the sum of precision times gain in recall.

    Unlike the trapezoid rule, this does not interpolate between points of the curve (Davis and
    Goadrich, ICML 2006). None unless both classes occur.
    """
    true_positives, false_positives, _ = _counts_by_threshold(labels, scores)
    defective = int((labels == 1).sum())
    if defective in (0, len(labels)):
        return None
    precision = true_positives / (true_positives + false_positives)
    recall_gain = np.diff(true_positives, prepend=0) / defective
    return float((precision * recall_gain).sum())


def oracle_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Score of the test precision-recall curve's point with the largest F1.

    It is chosen on the test labels themselves, so no user can reach it knowingly: an upper bound,
    and the published protocol. Of several such points, the one of the lowest score.
    """
    true_positives, false_positives, thresholds = _counts_by_threshold(labels, scores)
    f1 = 2 * true_positives / (true_positives + false_positives + (labels == 1).sum())
    return float(thresholds[np.flatnonzero(f1 == f1.max())[-1]])


def confusion_at(labels: np.ndarray, scores: np.ndarray, threshold: float) -> Confusion:
    """Confusion matrix of the prediction ``score >= threshold``."""
    predicted = scores >= threshold
    actual = labels == 1
    return Confusion(
        true_positives=int((predicted & actual).sum()),
        false_positives=int((predicted & ~actual).sum()),
        false_negatives=int((~predicted & actual).sum()),
        true_negatives=int((~predicted & ~actual).sum()),
    )


def _counts_by_threshold(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at each distinct score as threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true_positives = np.cumsum(labels[order] == 1)[last_of_ties]
    return true_positives, last_of_ties + 1 - true_positives, ordered[last_of_ties]
