"""Rates of images called defective: their exact interval, and what images in groups know of them.

The exporter's runner needs these intervals too and has NumPy alone: the incomplete beta function
is our own for that reason.
"""

from collections.abc import Callable
from math import exp, lgamma, log, log1p
from statistics import NormalDist

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)

Interval = tuple[float, float]


def rate_interval(rate: float, of: float) -> Interval:
    """Clopper-Pearson interval of a rate among `of` images.

    With a fractional `of`, the size of the independent sample that would know as much, it is
    the interval of Korn and Graubard (Survey Methodology 24, 1998).
    """
    hits = rate * of
    low = beta_quantile(hits, of - hits + 1, (1 - LEVEL) / 2) if hits > 0 else 0.0
    high = beta_quantile(hits + 1, of - hits, (1 + LEVEL) / 2) if hits < of else 1.0
    return low, high


def beta_quantile(a: float, b: float, probability: float) -> float:
    """Value that a beta variable stays below with a probability; both parameters above 0."""
    return root(lambda x: probability - beta_distribution(a, b, x), 0.0, 1.0)


def beta_distribution(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function, by its continued fraction.

    Numerical Recipes, 3rd edition, section 6.4; the fraction converges fast below the mean, and
    the symmetry in a and b covers the rest.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_distribution(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    numerator, denominator = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = denominator
    m = 0
    while True:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            denominator = 1 / (1 + term * denominator)
            numerator = 1 + term / numerator
            fraction *= denominator * numerator
        if abs(fraction - before) < 1e-15 * fraction:
            return front * fraction


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign between two places, by bisection to the last bit."""
    falls = function(low) > 0
    while low < (middle := (low + high) / 2) < high:
        if (function(middle) > 0) == falls:
            low = middle
        else:
            high = middle
    return middle


def effective_size(hits: np.ndarray, groups: np.ndarray) -> float:
    """Number of independent images that would know a rate as well as these images in groups.

    Parameters
    ----------
    hits
        bool, (n_images,).
    groups
        str, (n_images,); '' is a group of its own.

    Returns
    -------
    float
        The number of images where each is its own group. Else the variance between groups
        decides, at least one; the number of groups where all images agree.
    """
    numbers = group_numbers(groups)
    n_groups = int(numbers.max()) + 1
    if n_groups == len(hits) or n_groups == 1:
        return float(n_groups)
    rate = hits.mean()
    totals = np.bincount(numbers, hits - rate)
    variance = n_groups / (n_groups - 1) * (totals**2).sum() / len(hits) ** 2
    if rate in (0, 1) or variance == 0:
        return float(n_groups)
    from scipy.special import stdtrit  # only images in groups need it, and the runner has none

    few = (Z / stdtrit(n_groups - 1, (1 + LEVEL) / 2)) ** 2
    return float(np.clip(few * rate * (1 - rate) / variance, 1, len(hits)))
