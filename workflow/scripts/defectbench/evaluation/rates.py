"""Rates of images called defective: their interval, and what images in groups know of them.

The exporter's runner needs these intervals too and has NumPy alone: the incomplete beta function
is our own for that reason.
"""

from collections.abc import Callable, Sequence
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


def beta_binomial(of: int, a: float, b: float) -> np.ndarray:
    """Probabilities of 0 to `of` hits at a rate that has the distribution Beta(a, b)."""
    hits = np.arange(of)
    # each follows from the one before it
    steps = (of - hits) / (hits + 1) * (hits + a) / (of - hits - 1 + b)
    logarithms = np.concatenate([[0.0], np.log(steps).cumsum()])
    probabilities = np.exp(logarithms - logarithms.max())
    return probabilities / probabilities.sum()


SUPPOSED = 4
"""Groups of images that are all called alike, as which the lack of groups is counted.

Chosen by simulation (tests/bench/coverage/rates.py): with fewer, intervals of 9 to 40 groups
hold the truth too seldom."""


def share_interval(hits: np.ndarray, groups: np.ndarray) -> Interval:
    """Interval of the share of images that are called defective, from images in groups.

    Parameters
    ----------
    hits, groups
        As for `effective_size`; at least one image.
    """
    return rate_interval(float(hits.mean()), effective_size(hits, groups))


def effective_size(hits: np.ndarray, groups: np.ndarray) -> float:
    """Number of independent images that would know a rate as well as these images in groups.

    That is the number of images by the design effect of their groups, 1 + (m - 1) ρ, where m is
    the size of the group that an image is in, on average, and ρ the correlation of two images of
    a group (Donner and Donald, Journal of Clinical Epidemiology 41, 1988). Few groups say little
    about ρ, and groups that agree on everything nothing: `SUPPOSED` groups with a ρ of 1 are
    added to those that have something to say. Without an image called defective the number is
    that of groups of equal size, and with one it is not much larger.

    Parameters
    ----------
    hits
        bool or float, 0 to 1, (n_images,): which images are called defective.
    groups
        str, (n_images,); '' is a group of its own.
    """
    numbers = group_numbers(groups)
    sizes, counts = np.bincount(numbers), np.bincount(numbers, hits)
    telling = min(np.count_nonzero(counts > 0), np.count_nonzero(counts < sizes))
    alike = (telling * correlation_in_groups(hits, numbers) + SUPPOSED) / (telling + SUPPOSED)
    size = (sizes**2).sum() / len(hits)
    return float(len(hits) / (1 + (size - 1) * alike))


def independent_size(groups: Sequence[str] | np.ndarray) -> float:
    """Number of independent images whose mean varies no less than that of images in groups.

    n² / Σ size², which supposes that the images of a group are all alike (Kish, "Survey Sampling",
    1965): K of K groups of one size, and fewer if the sizes differ.

    Parameters
    ----------
    groups
        Of at least one image; '' is a group of its own.
    """
    sizes = np.bincount(group_numbers(np.asarray(groups, str)))
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def correlation_in_groups(hits: np.ndarray, numbers: np.ndarray) -> float:
    """Correlation of two images of a group, by the analysis of variance; 0 to 1.

    Donner, International Statistical Review 54, 1986, equation 2.1, for groups of unequal size. 1
    where nothing varies, or nothing can be told from a single group or from groups of one image.

    Parameters
    ----------
    hits
        As for `effective_size`.
    numbers
        Of the images' groups: from `bootstrap.group_numbers`.
    """
    sizes, counts = np.bincount(numbers), np.bincount(numbers, hits)
    n_images, n_groups = len(hits), len(sizes)
    if n_groups in (1, n_images):
        return 1.0
    rates = counts / sizes
    between = (sizes * (rates - hits.mean()) ** 2).sum() / (n_groups - 1)
    within = ((hits - rates[numbers]) ** 2).sum() / (n_images - n_groups)
    size = (n_images - (sizes**2).sum() / n_images) / (n_groups - 1)
    spread = between + (size - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread else 1.0
