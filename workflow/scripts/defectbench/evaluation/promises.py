"""Thresholds for a false-positive rate on new images, set from defect-free images alone.

The rule is that of split conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic learning in
a random world", 2005): of n held-out scores and the score of one more good image, every order is
equally likely. Where at most k of the n lie above the threshold, the new image does so with the
probability (k + 1) / (n + 1), and the rate of a threshold, over all the sets that it may be set on,
has the distribution Beta(k + 1, n - k). Images of a group (a part, a module, a shift) know little
more than one of them, and the promise is then one about an image of a *new* group.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any, NamedTuple, TypedDict

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.rates import LEVEL, Interval, beta_distribution, beta_quantile
from defectbench.evaluation.thresholds import ROUNDING, just_above

AVERAGE, TOLERANCE = "average", "tolerance"
RULES = (AVERAGE, TOLERANCE)
"""``average``: the rate is kept on average over all sets of training images; ``tolerance``: it is
kept in 95 of 100 of them."""

EACH, MANY, ROUGH, FOLDS = "each", "many", "rough", "folds"
"""How scores were held out: one image or group at a time; many at a time or of few maps, so that
they are somewhat higher than those of new images; on a rough scale or dependent on each other, so
that they keep a rate on average and not in 95 of 100 cases; in so few folds that they can be on
another scale."""

CALIBRATION = "calibration"
"""That nothing was held out: the images train nothing, so that any detector, however it was fitted,
scores them as it scores new ones."""

FEW = "few"
"""That there are too few independent images for a rate."""


class Asked(NamedTuple):
    """What a threshold is to keep.

    Attributes
    ----------
    rate
        The false-positive rate, 0 to 1, for the prediction ``score >= threshold``.
    rule
        One of `RULES`.
    folds
        How the scores were held out, one of `EACH`, `MANY`, `ROUGH`, `FOLDS`; or `CALIBRATION`.
    """

    rate: float
    rule: str = AVERAGE
    folds: str = EACH


class Promise(TypedDict):
    """A threshold, and what it promises of new good images.

    Attributes
    ----------
    rule, asked, folds
        As in `Asked`; the false-positive rate is ``asked``.
    threshold
        Images that reach it are called defective; None without a held-out image.
    estimate
        Empty where the rule holds; else why it does not: `FEW`, and the threshold is the quantile
        of the held-out scores; `FOLDS` or `ROUGH`, and it is what the rule gives.
    images, groups
        Held-out images, and how many of them are independent; the same number without groups.
    above
        Of the independent ones, how many reach the threshold; images of a group share one.
    expected
        Share of new good images that reach it, on average.
    at_most
        Whether that share may well be less: images share groups, or their held-out scores are
        somewhat higher than those of new images.
    range
        Where that share lies for this one threshold in 95 of 100 cases.
    next
        Fewest independent images with which one more may lie above; where there are too few of
        them, with which the rule holds. None where no number does.
    """

    rule: str
    asked: float
    folds: str
    threshold: float | None
    estimate: str
    images: int
    groups: int
    above: float
    expected: float | None
    at_most: bool
    range: Interval | None
    next: int | None


def promise(scores: np.ndarray, groups: Sequence[str] | np.ndarray, asked: Asked) -> Promise:
    """The lowest threshold that keeps a rate, or an estimate of it.

    By the average, each of K groups weighs 1 / (K + 1), shared by its images, and the rest lies at
    infinity (Lee, Barber and Willett, "Distribution-free inference with hierarchical data", 2023;
    Dunn, Wasserman and Ramdas, "Distribution-free prediction sets for two-layer hierarchical
    models", 2018). The tolerance takes the largest score of each group, which promises more than is
    asked: that no image of a new group reaches the threshold. Where there are too few images for
    the rule, the quantile of the held-out scores takes its place, each group weighing 1 / K.

    Parameters
    ----------
    scores
        float64, (n_images,), of defect-free images that the scorer was not fitted on.
    groups
        Of the images; '' is a group of its own.
    asked
        What it is to keep.
    """
    numbers = group_numbers(np.asarray(groups, str))
    count = int(numbers.max(initial=-1)) + 1
    most = most_above(count, asked.rate, asked.rule)
    found: dict[str, Any] = {"threshold": None, "above": 0.0, "expected": None, "range": None}
    if count:
        threshold, above = lowest_threshold(scores, numbers, asked)
        found = {"threshold": threshold, "above": above} | outlook(above, count)
    return Promise(
        rule=asked.rule,
        asked=asked.rate,
        folds=asked.folds,
        estimate=_estimate(asked, most),
        at_most=asked.folds == MANY or count < len(numbers),
        images=len(numbers),
        groups=count,
        next=fewest(floor(most) + 1, asked.rate, asked.rule),
        **found,
    )


def lowest_threshold(scores: np.ndarray, numbers: np.ndarray, asked: Asked) -> tuple[float, float]:
    """The threshold of a `promise`, and of the groups, how many reach it.

    Parameters
    ----------
    scores
        float64, (n_images,), at least one.
    numbers
        Of the images' groups: from `bootstrap.group_numbers`.
    asked
        What the threshold is to keep.
    """
    sizes = np.bincount(numbers)
    count, weights = len(sizes), 1 / sizes[numbers]
    most = most_above(count, asked.rate, asked.rule)
    if most < 0:
        most = asked.rate * count
    elif asked.rule == TOLERANCE:
        scores, weights = largest_of_groups(scores, numbers), np.ones(count)
    return just_above(scores, weights, most)


def _estimate(asked: Asked, most: float) -> str:
    """Why what the rule gives is an estimate; empty if it is none."""
    if asked.folds == FOLDS:
        return FOLDS
    if most < 0:
        return FEW
    return ROUGH if (asked.folds, asked.rule) == (ROUGH, TOLERANCE) else ""


def most_above(count: int, asked: float, rule: str) -> float:
    """Of so many independent held-out scores, how many may lie above; negative for not even none.

    By the average, k with (k + 1) / (n + 1) ≤ `asked`, a fraction where images share groups. By
    the tolerance, the largest k for which Beta(k + 1, n - k) lies below `asked` in 95 of 100 draws.
    """
    if rule == AVERAGE:
        most = asked * (count + 1) - 1 + ROUNDING
        return most if most >= 0 else -1
    low, high = -1, count
    while high - low > 1:  # the more lie above, the less likely
        middle = (low + high) // 2
        low, high = (middle, high) if _is_tolerable(middle, count, asked) else (low, middle)
    return low


def _is_tolerable(above: int, count: int, asked: float) -> bool:
    return beta_distribution(above + 1, count - above, asked) >= LEVEL


def fewest(above: int, asked: float, rule: str) -> int | None:
    """Independent held-out images with which so many may lie above; None where no number does."""
    if asked <= 0:
        return None
    if rule == AVERAGE:
        return max(above + 1, ceil((above + 1) / asked - 1 - ROUNDING))
    low, high = above, 2 * (above + 1)
    while not _is_tolerable(above, high, asked):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_tolerable(above, middle, asked) else (middle, high)
    return high


def outlook(above: float, count: int) -> dict[str, Any]:
    """``expected`` and ``range`` of a threshold that so many of `count` held-out scores reach."""
    distribution = (above + 1, max(count - above, ROUNDING))
    ends = tuple(beta_quantile(*distribution, (1 + side * LEVEL) / 2) for side in (-1, 1))
    return {"expected": (above + 1) / (count + 1), "range": ends}


def largest_of_groups(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Largest score of each group: float64, (n_groups,)."""
    largest = np.full(numbers.max() + 1, -np.inf)
    np.maximum.at(largest, numbers, scores)
    return largest
