"""95 % intervals that hold for small samples and at the edge, where a ranking is perfect.

`tests/bench/coverage.py` measures how often each holds the truth: reports/coverage.md.
"""

from collections.abc import Callable, Sequence
from math import atan2, cos, pi, sin

import numpy as np

from defectbench.evaluation.bootstrap import bootstrap_variance, independent_images
from defectbench.evaluation.rates import Interval, Z, effective_size, rate_interval, root

LEAST = 0.75
"""Lower bound on the bootstrap's variance, as a fraction of the one that theory expects.

A bootstrap of few images underestimates the variance. The bound is chosen by simulation: a smaller
one loses coverage where scores are skewed, a larger one widens all intervals."""

EDGE = 1e-9
"""How near to 0 or 1 a figure counts as being there."""


def score_interval(
    value: float, variance: float, variance_at: Callable[[float], float]
) -> Interval:
    """All truths that an estimate does not contradict: a score interval.

    A truth is in it where the estimate lies within 1.96 standard deviations *of that truth*, which
    change with it: near 0 and 1 they are small, and the interval is skewed as it should be.

    Parameters
    ----------
    value
        The estimate, 0 to 1.
    variance
        Of the estimate, from the data.
    variance_at
        Variance expected of the estimate, by the truth; 0 at 0 and 1. It is scaled to `variance`,
        but not below `LEAST`, and taken as it is at 0 and 1, where the data show none.
    """
    at_edge = not EDGE < value < 1 - EDGE
    scale = 1.0 if at_edge else max(LEAST, variance / variance_at(value))

    def excess(truth: float) -> float:
        return (value - truth) ** 2 - Z**2 * scale * variance_at(truth)

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
    which supposes one shape of the score distributions.

    Parameters
    ----------
    auroc
        The estimate.
    variance
        Its bootstrap variance.
    n_good, n_defective
        Number of independent units of each class: images, or groups of them.
    """
    return score_interval(
        auroc, variance, lambda truth: hanley_mcneil_variance(truth, n_good, n_defective)
    )


def aupr_interval(aupr: float, variance: float, n_defective: int) -> Interval:
    """Score interval of an average precision.

    Its variance changes with the truth as that of a share of the defective images does (Boyd, Eng
    and Page, ECML 2013), and has the size that the bootstrap found.
    """
    return score_interval(aupr, variance, lambda truth: truth * (1 - truth) / n_defective)


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


def mean_interval(values: Sequence[float], limits: Sequence[Interval]) -> Interval:
    """Interval of the mean of independent estimates."""
    return monotone_interval(lambda *each: float(np.mean(each)), list(values), limits)


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


def confusion_intervals(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> dict[str, Interval]:
    """Intervals of the metrics at a threshold that was not chosen on these images.

    Parameters
    ----------
    labels, groups
        Of the images.
    predicted
        bool, (n_images,): which images are called defective.

    Returns
    -------
    dict of str to (float, float)
        By name, those of the metrics that are defined.
    """
    names = {1: "recall", 0: "false_positive_rate"}
    rates, found = {}, {}
    for label in set(labels.tolist()):
        called = predicted[labels == label]
        rates[label] = float(called.mean())
        of = effective_size(called, groups[labels == label])
        found[names[label]] = rate_interval(rates[label], of)
    if len(rates) < 2:
        return found
    ratio = (labels == 0).sum() / (labels == 1).sum()

    def f1(recall: float, false_positive_rate: float) -> float:
        return 2 * recall / (recall + ratio * false_positive_rate + 1)

    def balanced_accuracy(recall: float, false_positive_rate: float) -> float:
        return (1 + recall - false_positive_rate) / 2

    limits = [found["recall"], found["false_positive_rate"]]
    for function in (f1, balanced_accuracy):
        low, high = monotone_interval(function, [rates[1], rates[0]], limits)
        found[function.__name__] = max(low, 0.0), min(high, 1.0)  # added distances may overshoot
    return found


def metric_intervals(
    metrics: dict[str, float | int | None],
    replicates: dict[str, np.ndarray],
    labels: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Interval]:
    """Intervals of all metrics that have one, by name.

    Metrics at the oracle threshold have none: it is chosen on the very images that it is judged
    on.

    Parameters
    ----------
    metrics
        From `image_metrics.image_metrics`.
    replicates
        From `bootstrap.bootstrap_replicates`.
    labels, predicted, groups
        Of the test images; `predicted` at the honest threshold.
    """
    found = confusion_intervals(labels, predicted, groups)
    of_honest = {f"honest_{name}": interval for name, interval in found.items()}
    defined = {name: each for name, each in of_honest.items() if metrics[name] is not None}
    return ranking_intervals(metrics, replicates, labels, groups) | defined


def ranking_intervals(
    metrics: dict[str, float | int | None],
    replicates: dict[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Interval]:
    """Intervals of AUROC and AUPR; empty where they are not defined.

    Parameters
    ----------
    metrics
        Both by name.
    replicates
        Theirs, from `bootstrap.bootstrap_replicates`.
    labels, groups
        Of the images.
    """
    if not replicates:
        return {}
    n_good, n_defective = (independent_images(groups[labels == label]) for label in (0, 1))
    variances = {
        name: bootstrap_variance(array, labels, groups) for name, array in replicates.items()
    }
    auroc, aupr = metrics["image_auroc"], metrics["aupr"]
    return {
        "image_auroc": auroc_interval(auroc, variances["image_auroc"], n_good, n_defective),
        "aupr": aupr_interval(aupr, variances["aupr"], n_defective),
    }
