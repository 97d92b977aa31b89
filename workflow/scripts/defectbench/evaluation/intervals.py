"""95 % intervals that hold for small samples and at the edge, where a ranking is perfect.

`tests/bench/coverage.py` measures how often each holds the truth: reports/coverage.md.
"""

from collections.abc import Callable, Sequence
from math import atan2, cos, inf, pi, sin

import numpy as np

from defectbench.evaluation.rates import Interval, Z, root

LEAST = 0.75
LEAST_OF_AUPR = 1.25
"""Lower bounds on the bootstrap's variance, as a fraction of the one that theory expects.

A bootstrap of few images underestimates the variance. The bounds are chosen by simulation: smaller
ones lose coverage where scores are skewed, larger ones widen all intervals."""

FEW = 10
"""Images of a class below which no shape of the scores is supposed."""

EDGE = 1e-9
"""How near to 0 or 1 a figure counts as being there."""


def score_interval(
    value: float,
    variance: float,
    variance_at: Callable[[float], float],
    least: float = LEAST,
) -> Interval:
    """All truths that an estimate does not contradict: a score interval.

    A truth is in it where the estimate lies within 1.96 standard deviations *of that truth*, which
    change with it: near 0 and 1 they are small, and the interval is skewed as it should be. They
    are not taken to be smaller than those of the data: where a single image moves the estimate
    far, a truth nearer to 1 is not ruled out because most samples would lack that image.

    Parameters
    ----------
    value
        The estimate, 0 to 1.
    variance
        Of the estimate, from the data.
    variance_at
        Variance expected of the estimate, by the truth; 0 at 0 and 1. It is scaled to `variance`,
        and taken as it is at 0 and 1, where the data show none.
    least
        Lower bound on that scale.
    """
    at_edge = not EDGE < value < 1 - EDGE
    scale, own = (1.0, 0.0) if at_edge else (max(least, variance / variance_at(value)), variance)

    def excess(truth: float) -> float:
        return (value - truth) ** 2 - Z**2 * max(scale * variance_at(truth), own)

    low, high = 0.0, 1.0
    if value > EDGE and excess(EDGE) > 0:
        low = root(excess, EDGE, min(value, 1 - EDGE))
    if value < 1 - EDGE and excess(1 - EDGE) > 0:
        high = root(excess, max(value, EDGE), 1 - EDGE)
    return float(low), float(high)


def hanley_mcneil_variance(auroc: float, n_good: int, n_defective: int) -> float:
    """Variance of an AUROC, by Hanley and McNeil's formula in Newcombe's form.

    Newcombe, Statistics in Medicine 25, 2006, method 5: both sample sizes stand at their mean in
    the inner terms, so that it matters little which class spreads more.
    """
    mean = (n_good + n_defective) / 2
    inner = (1 - auroc) / (2 - auroc) + auroc / (1 + auroc)
    return auroc * (1 - auroc) * (1 + (mean - 1) * inner) / (n_good * n_defective)


def auroc_interval(auroc: float, variance: float, n_good: int, n_defective: int) -> Interval:
    """Score interval of an AUROC; of a perfect one, from a lower bound to 1.

    Newcombe's interval, but with the variance found in the data in place of Hanley and McNeil's,
    which supposes one shape of the score distributions. Few units cannot show another shape: of
    fewer than `FEW` in a class, the variance takes the place of theirs that no shape exceeds
    (Birnbaum and Klose, Annals of Mathematical Statistics 28, 1957). A single one rules out
    nothing.

    Parameters
    ----------
    auroc
        The estimate.
    variance
        Its bootstrap variance.
    n_good, n_defective
        Number of independent units of each class: images, or groups of them.
    """
    units = min(n_good, n_defective)
    if units == 1:
        return 0.0, 1.0
    if units < FEW:
        return score_interval(auroc, variance, lambda truth: truth * (1 - truth) / units)
    return score_interval(
        auroc, variance, lambda truth: hanley_mcneil_variance(truth, n_good, n_defective)
    )


def aupr_interval(aupr: float, variance: float, n_good: int, n_defective: int) -> Interval:
    """Score interval of an average precision.

    Its variance changes with the truth as that of a share of the defective images does (Boyd, Eng
    and Page, ECML 2013), and has the size that the bootstrap found. A single unit of a class rules
    out nothing.

    Parameters
    ----------
    aupr, variance, n_good, n_defective
        As for `auroc_interval`.
    """
    if min(n_good, n_defective) == 1:
        return 0.0, 1.0
    return score_interval(
        aupr, variance, lambda truth: truth * (1 - truth) / n_defective, LEAST_OF_AUPR
    )


def monotone_interval(
    function: Callable[..., float], estimates: Sequence[float], limits: Sequence[Interval]
) -> Interval:
    """Interval of a monotone function of independent estimates, from the limits of each.

    Distances to the limits are squared and added (Zou and Donner's MOVER, Statistics in Medicine
    27, 2008), so that the interval is as skewed as those it is made of.
    """
    value = function(*estimates)
    below = above = 0.0
    for place, interval in enumerate(limits):
        ends = [
            function(*estimates[:place], end, *estimates[place + 1 :]) - value for end in interval
        ]
        below += min(*ends, 0) ** 2
        above += max(*ends, 0) ** 2
    return value - below**0.5, value + above**0.5


def mean_interval(
    values: Sequence[float], limits: Sequence[Interval], weights: Sequence[float] | None = None
) -> Interval:
    """Interval of the mean of independent estimates, which may have weights."""
    return monotone_interval(
        lambda *each: float(np.average(each, weights=weights)), list(values), limits
    )


def ratio_interval(values: tuple[float, float], limits: tuple[Interval, Interval]) -> Interval:
    """Interval of the first estimate over the second, both independent and not negative.

    Donner and Zou, Statistical Methods in Medical Research 21, 2012: the limits of a ratio that
    follow from those of both by MOVER. Infinite where the second may be 0.
    """
    (first, second), ((low_1, high_1), (low_2, high_2)) = values, limits

    def root_of(limit_1: float, limit_2: float) -> float:
        own = limit_1 * (2 * first - limit_1) * limit_2 * (2 * second - limit_2)
        return max((first * second) ** 2 - own, 0.0) ** 0.5

    # both as the formula has them, the lower one with its root in the denominator: the second
    # estimate may be 0
    below = first * second + root_of(low_1, high_2)
    low = low_1 * (2 * first - low_1) / below if low_1 > 0 else 0.0
    above = low_2 * (2 * second - low_2)
    high = (first * second + root_of(high_1, low_2)) / above if above > 0 else inf
    return low, high


def difference_interval(
    values: tuple[float, float], limits: tuple[Interval, Interval], correlation: float
) -> Interval:
    """Interval of the first estimate minus the second, which were made on the same images.

    The two errors lie in an ellipse of their correlation, stretched along each axis to the
    estimate's own interval, on its lower and on its upper side. Without correlation that is MOVER
    (Zou and Donner, 2008). MOVER with correlation would set the lower side of one against the
    upper side of the other where errors go the same way, which is far too wide for detectors
    that nearly coincide.
    """
    (first, second), ((low_1, high_1), (low_2, high_2)) = values, limits
    of_first, of_second = (first - low_1, high_1 - first), (second - low_2, high_2 - second)
    own = max(1 - correlation**2, 0.0) ** 0.5

    def error(angle: float) -> float:
        """Of the difference, at a point on the ellipse; an estimate too high errs upwards."""
        one, other = cos(angle), correlation * cos(angle) + own * sin(angle)
        return one * of_first[one < 0] - other * of_second[other < 0]

    # on each quarter it is a sinusoid: the extremes are its own or lie where quarters meet
    extremes = [atan2(-own * b, a - correlation * b) for a in of_first for b in of_second]
    extremes += [pi / 2, atan2(-correlation, own)]
    errors = [error(angle + turn) for angle in extremes for turn in (0, pi)]
    return first - second - max(errors), first - second - min(errors)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of paired replicates; 0 where one does not vary, as of a perfect ranking."""
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
