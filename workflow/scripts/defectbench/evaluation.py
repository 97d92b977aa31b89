"""Image-level metrics. Label 1 is defective; a higher anomaly score means more anomalous."""

import zlib
from typing import NamedTuple

import numpy as np

REPLICATES = 2000
REPLICATE_BLOCK = 1 << 22
"""Resampled images held at once, so that memory does not grow with the dataset."""


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

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the good images called defective; None without a good image."""
        good = self.true_negatives + self.false_positives
        return self.false_positives / good if good else None


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


def folds(n_images: int, n_folds: int, seed: int) -> list[np.ndarray]:
    """Indices of shuffled folds of nearly equal size, for held-out scores of training images."""
    shuffled = np.random.default_rng(seed).permutation(n_images)
    return [np.sort(fold) for fold in np.array_split(shuffled, min(n_folds, n_images))]


def trivial_f1(labels: np.ndarray) -> float:
    """F1 of the answer "everything is defective"."""
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


def bootstrap_replicates(
    labels: np.ndarray, scores: np.ndarray, seed: int, category: str
) -> dict[str, np.ndarray]:
    """Metrics of test sets resampled with replacement, each class by itself.

    The resampling depends on seed, category and class sizes alone: replicate i of two detectors
    is the same set of images, so differences of replicates are paired.

    Returns
    -------
    dict of str to ndarray
        ``image_auroc`` and ``aupr``: float64, (`REPLICATES`,); empty unless both classes occur.
    """
    if image_auroc(labels, scores) is None:
        return {}
    rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
    order = np.argsort(-scores, kind="stable")
    ties = _last_of_ties(scores[order])
    block = max(1, REPLICATE_BLOCK // len(labels))
    parts = [
        _replicate_block(labels, order, ties, min(block, REPLICATES - start), rng)
        for start in range(0, REPLICATES, block)
    ]
    auroc, aupr = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"image_auroc": auroc, "aupr": aupr}


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Central interval that holds a share `level` of the replicates (percentile bootstrap)."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def image_metrics(
    labels: np.ndarray, scores: np.ndarray, thresholds: dict[str, float]
) -> dict[str, float | int | None]:
    """All metrics of one detector on one category, by name.

    Parameters
    ----------
    labels, scores
        Of the test images.
    thresholds
        By the name that prefixes the metrics taken at it, such as ``oracle``.
    """
    metrics: dict[str, float | int | None] = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
        "trivial_f1": trivial_f1(labels),
    }
    for name, threshold in thresholds.items():
        confusion = confusion_at(labels, scores, threshold)
        figures = {
            "f1": confusion.f1,
            "balanced_accuracy": confusion.balanced_accuracy,
            "false_positive_rate": confusion.false_positive_rate,
            **confusion._asdict(),
        }
        metrics |= {f"{name}_{figure}": value for figure, value in figures.items()}
    return metrics


def defect_metrics(
    labels: np.ndarray, scores: np.ndarray, defects: np.ndarray, threshold: float
) -> list[dict[str, str | int | float | None]]:
    """Per defect type: number of images, AUROC against the good ones, share found.

    For ``good`` images the share is the one called defective, and there is no AUROC.
    """
    rows: list[dict[str, str | int | float | None]] = []
    for defect in sorted(set(defects)):
        own = defects == defect
        compared = own | (labels == 0)
        rows.append(
            {
                "defect": str(defect),
                "images": int(own.sum()),
                "image_auroc": image_auroc(labels[compared], scores[compared]),
                "called_defective": float((scores[own] >= threshold).mean()),
            }
        )
    return rows


def _replicate_block(
    labels: np.ndarray, order: np.ndarray, ties: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of `count` resamples, from how often each image came."""
    times = np.zeros((count, len(labels)), np.int32)
    for label in (0, 1):
        (members,) = np.nonzero(labels == label)
        times[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), count
        )
    times = times[:, order]
    defective = labels[order] == 1
    true_positives = np.cumsum(times * defective, axis=1)[:, ties]
    false_positives = np.cumsum(times * ~defective, axis=1)[:, ties]
    new_true = np.diff(true_positives, axis=1, prepend=0)
    new_false = np.diff(false_positives, axis=1, prepend=0)
    n_true, n_false = defective.sum(), (~defective).sum()
    # a good image is below all defective ones of higher score, and half below those of equal score
    wins = ((true_positives - new_true / 2) * new_false).sum(axis=1)
    predicted = np.maximum(true_positives + false_positives, 1)
    precision = (new_true * true_positives / predicted).sum(axis=1)
    return wins / (n_true * n_false), precision / n_true


def _last_of_ties(ordered: np.ndarray) -> np.ndarray:
    """Positions after which the score changes."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def _counts_by_threshold(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at each distinct score as threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ties = _last_of_ties(ordered)
    true_positives = np.cumsum(labels[order] == 1)[ties]
    return true_positives, ties + 1 - true_positives, ordered[ties]
