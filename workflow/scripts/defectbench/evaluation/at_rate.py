"""What slips through at the rate asked for: escapes where good test images set the threshold.

Detectors are compared by it: each at the threshold that keeps the rate on these test images, so
that none gains by a threshold that rejects more good parts than it may. No detector has that
threshold in advance, and the figures of a verdict are those at its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import (
    REPLICATE_BLOCK,
    bootstrap_variance,
    group_numbers,
    independent_images,
    resamples,
)
from defectbench.evaluation.intervals import score_interval
from defectbench.evaluation.promises import AVERAGE, fewest, most_above
from defectbench.evaluation.rates import Interval
from defectbench.evaluation.thresholds import ROUNDING, just_above
from defectbench.records import Scores

WIDER = 2.0
"""How many times wider an interval is where the highest good score alone sets the threshold.

The bootstrap draws that score again and again, and so knows little of where others lie; chosen by
simulation (tests/bench/coverage/choices.py)."""


def escapes_at_rate(
    test: Scores, rate: float, seed: int, category: str
) -> tuple[dict[str, Any], np.ndarray]:
    """Share of the defective test images that slip through at the rate asked for.

    Parameters
    ----------
    test
        Scores of a detector on a category.
    rate
        Of good images that may be called defective, on average: `promises.AVERAGE`.
    seed, category
        What the resampling depends on.

    Returns
    -------
    figures : dict
        ``groups`` and ``needed``: independent good test images that there are, and that the rate
        takes; ``threshold``, ``escape_rate`` and ``escape_rate_interval``, None where there are too
        few, or no defective image.
    replicates : ndarray
        float64, (`bootstrap.REPLICATES`,), of the escape rate; empty without one.
    """
    good, defective = test.labels == 0, test.labels == 1
    count = independent_images(test.groups[good])
    figures: dict[str, Any] = {"groups": count, "needed": fewest(0, rate, AVERAGE)}
    figures |= dict.fromkeys(("threshold", "escape_rate", "escape_rate_interval"))
    most = most_above(count, rate, AVERAGE)
    if most < 0 or not defective.any():
        return figures, np.empty(0)
    weights = group_weights(test)
    threshold, _ = just_above(test.scores[good], weights[good], most)
    escapes = float((test.scores[defective] < threshold).mean())
    replicates = np.concatenate(list(_replicates(test, weights, most, seed, category)))
    interval = _interval(escapes, replicates, test, most)
    found = {"threshold": threshold, "escape_rate": escapes, "escape_rate_interval": interval}
    return figures | found, replicates


def group_weights(test: Scores) -> np.ndarray:
    """Of good images, one for each group, shared by its images: float64, (n_images,); else 0."""
    good = test.labels == 0
    numbers = group_numbers(test.groups[good])
    weights = np.zeros(len(good))
    weights[good] = 1 / np.bincount(numbers)[numbers]
    return weights


def _replicates(
    test: Scores, weights: np.ndarray, most: float, seed: int, category: str
) -> Iterator[np.ndarray]:
    """Escape rates of resampled test sets, each with the threshold that its own good images set."""
    order = np.argsort(-test.scores, kind="stable")
    scores, defective, weights = test.scores[order], test.labels[order] == 1, weights[order]
    block = max(1, REPLICATE_BLOCK // len(order))
    for times in resamples(test.labels, test.groups, seed, category, block):
        times = times[:, order]
        above = np.cumsum(times * weights, axis=1) > most + ROUNDING
        # the first image with which too many would lie above; what scores no more slips through
        limit = scores[np.where(above.any(axis=1), above.argmax(axis=1), len(order) - 1)]
        slips = (scores[None] <= limit[:, None]) & defective
        yield (times * slips).sum(axis=1) / (times * defective).sum(axis=1)


def _interval(value: float, replicates: np.ndarray, test: Scores, most: float) -> Interval:
    """95 % interval of an escape rate, with the error of the threshold."""
    units = independent_images(test.groups[test.labels == 1])
    variance = bootstrap_variance(replicates, test.labels, test.groups)
    low, high = score_interval(value, variance, lambda truth: truth * (1 - truth) / units, 1.0)
    factor = widening(most)
    return max(value - factor * (value - low), 0.0), min(value + factor * (high - value), 1.0)


def widening(most: float) -> float:
    """How many times wider intervals are where so many good images may lie above."""
    return WIDER if most < 1 else 1.0
