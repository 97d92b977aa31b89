"""Image-level metrics. Label 1 is defective; a higher anomaly score means more anomalous."""

from typing import NamedTuple

import numpy as np

RATES = ("f1", "balanced_accuracy", "recall", "false_positive_rate")
"""Properties of a `Confusion` that are reported at each threshold."""


class Confusion(NamedTuple):
    """Counts at a threshold; defective is the positive class."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def defective(self) -> int:
        """Number of defective images."""
        return self.true_positives + self.false_negatives

    @property
    def good(self) -> int:
        """Number of good images."""
        return self.true_negatives + self.false_positives

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None unless both classes occur."""
        if not self.defective or not self.good:
            return None
        return (
            2 * self.true_positives / (self.true_positives + self.false_positives + self.defective)
        )

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the recalls of both classes; None unless both occur."""
        if not self.defective or not self.good:
            return None
        return (self.true_positives / self.defective + self.true_negatives / self.good) / 2

    @property
    def recall(self) -> float | None:
        """Share of the defective images that is found; None without a defective image."""
        return self.true_positives / self.defective if self.defective else None

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the good images called defective; None without a good image."""
        return self.false_positives / self.good if self.good else None


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
    defective = int((labels == 1).sum())
    if defective in (0, len(labels)):
        return None
    true_positives, false_positives, _ = counts_by_threshold(labels, scores)
    precision = true_positives / (true_positives + false_positives)
    recall_gain = np.diff(true_positives, prepend=0) / defective
    return float((precision * recall_gain).sum())


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


def trivial_f1(labels: np.ndarray) -> float | None:
    """F1 of the answer "everything is defective"; None unless both classes occur."""
    return confusion_at(labels, np.zeros(len(labels)), 0).f1


def rank_errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the other class that an image is ranked wrongly against, ties half.

    Returns
    -------
    ndarray
        float64, (n_images,): 0 for an image on the right side of all others, 1 for one on the
        wrong side of all. All 0 unless both classes occur.
    """
    errors = np.zeros(len(labels))
    for label, sign in ((0, 1), (1, -1)):
        others = np.sort(sign * scores[labels != label])
        own = sign * scores[labels == label]
        if len(others):
            wrong = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
            errors[labels == label] = wrong / (2 * len(others))
    return errors


def worst_ranked(
    labels: np.ndarray, scores: np.ndarray, count: int = 10
) -> list[tuple[int, float]]:
    """The images ranked wrongly against the most others: row and `rank_errors`, worst first."""
    errors = rank_errors(labels, scores)
    worst = np.argsort(-errors, kind="stable")[:count]
    return [(int(row), float(errors[row])) for row in worst if errors[row] > 0]


def image_metrics(
    labels: np.ndarray, scores: np.ndarray, thresholds: dict[str, float | None]
) -> dict[str, float | int | None]:
    """All metrics of one detector on one category, by name; None where they are not defined.

    Parameters
    ----------
    labels, scores
        Of the test images.
    thresholds
        By the name that prefixes the metrics taken at it, such as ``oracle``; None where there
        is none.
    """
    metrics: dict[str, float | int | None] = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
        "trivial_f1": trivial_f1(labels),
    }
    for name, threshold in thresholds.items():
        figures: dict[str, float | int | None] = dict.fromkeys((*RATES, *Confusion._fields))
        if threshold is not None:
            confusion = confusion_at(labels, scores, threshold)
            figures = {rate: getattr(confusion, rate) for rate in RATES} | confusion._asdict()
        metrics |= {f"{name}_{figure}": value for figure, value in figures.items()}
    return metrics


def last_of_ties(ordered: np.ndarray) -> np.ndarray:
    """Positions after which the score changes."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def counts_by_threshold(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at each distinct score as threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ties = last_of_ties(ordered)
    true_positives = np.cumsum(labels[order] == 1)[ties]
    return true_positives, ties + 1 - true_positives, ordered[ties]


Curve = tuple[np.ndarray, np.ndarray]


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """False-positive rate and share of defects found, from the highest threshold down.

    None unless both classes occur. Points on a straight line between others are left out.
    """
    n_defective = int((labels == 1).sum())
    if n_defective in (0, len(labels)):
        return None
    found, alarms, _ = counts_by_threshold(labels, scores)
    found, alarms = (np.insert(counts, 0, 0) for counts in (found, alarms))
    steps = np.stack([np.diff(found), np.diff(alarms)])
    turns = steps[0, 1:] * steps[1, :-1] != steps[1, 1:] * steps[0, :-1]
    corners = np.flatnonzero(np.concatenate([[True], turns, [True]]))
    return alarms[corners] / (len(labels) - n_defective), found[corners] / n_defective


def precision_recall_curve(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """Recall and precision at each threshold where a defect is found, from the highest down.

    None unless both classes occur.
    """
    n_defective = int((labels == 1).sum())
    if n_defective in (0, len(labels)):
        return None
    found, alarms, _ = counts_by_threshold(labels, scores)
    gains = np.diff(found, prepend=0) > 0
    return found[gains] / n_defective, found[gains] / (found + alarms)[gains]
