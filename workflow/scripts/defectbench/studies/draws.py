"""What the draw of the training images adds to the error of a figure that is a mean over draws."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from defectbench.evaluation.promises import Promise
from defectbench.evaluation.rates import LEVEL, Z


def draws_variance(values: Sequence[float], share: float) -> float:
    """Variance of the mean over draws, about the mean of draws from other images.

    Parameters
    ----------
    values
        The figure of each draw.
    share
        As for `draws_covariance`.

    Returns
    -------
    float
        0 of a single draw, which tells nothing of others.
    """
    return draws_covariance(values, values, share)


def draws_covariance(first: Sequence[float], second: Sequence[float], share: float) -> float:
    """Covariance of the means of two figures over the same draws.

    Draws that each take a share of the same images have it in common: they differ less than draws
    of other images would, by the factor 1 - `share`, and their mean varies as much as what they
    share does. Of R draws with the covariance s that is s (1 / R + share / (1 - share)), exactly
    for a figure to which each image adds its own part; Nadeau and Bengio, Machine Learning 52,
    2003, correct resampled tests so. It is scaled so that 1.96 standard deviations are Student's
    quantile of R - 1 degrees of freedom of them: few draws know little of their variance.

    Parameters
    ----------
    first, second
        Of each draw.
    share
        Of the images, how large a part a draw takes: 0 to below 1; 0 also for the mean of all
        draws from these very images.
    """
    count = len(first)
    if count < 2:
        return 0.0
    seen = float(np.cov(first, second)[0, 1])
    if seen == 0:  # such as of draws that take all images
        return 0.0
    few = float(stdtrit(count - 1, (1 + LEVEL) / 2)) / Z
    return few**2 * seen * (1 / count + share / (1 - share))


def least_rate_variance(promised: Promise, draws: int, share: float) -> float:
    """Variance of a mean false-positive rate over draws, as far as the thresholds' choice goes.

    The rate of a threshold that k of n held-out scores reach has the distribution
    Beta(k + 1, n - k), see `evaluation.promises`. It is skewed: the rates of a few draws are often
    all low, and then say little of how much others may differ.

    Parameters
    ----------
    promised
        Of one of the draws.
    draws
        Their number.
    share
        As for `draws_covariance`.

    Returns
    -------
    float
        0 of a single draw.
    """
    if draws < 2:
        return 0.0
    a, b = promised["above"] + 1, promised["groups"] - promised["above"]
    of_one = a * b / ((a + b) ** 2 * (a + b + 1))
    return of_one * (share + (1 - share) / draws)
