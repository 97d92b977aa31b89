"""Whether two samples may come from one distribution, where images in groups know little.

The exported detectors' runner needs these tests and has NumPy alone.
"""

from collections.abc import Sequence
from math import exp, sqrt

import numpy as np

from defectbench.evaluation.rates import Interval, beta_binomial


def kolmogorov_smirnov(
    a: Sequence[float], b: Sequence[float], sizes: Interval | None = None
) -> tuple[float, float]:
    """Largest distance between two samples' distribution functions, and its p-value.

    Parameters
    ----------
    a, b
        At least one value each.
    sizes
        Of either, how many values are independent; default: all of them.
    """
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    shares = [np.searchsorted(sample, both, "right") / len(sample) for sample in (a, b)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return distance, distance_p_value(distance, *(sizes or (len(a), len(b))))


def distance_p_value(distance: float, m: float, n: float) -> float:
    """p-value of a distance between the distribution functions of m and n independent values.

    Kolmogorov's limit at (√k + 0.12 + 0.11/√k) D, k = mn / (m + n) (Stephens, "Use of the
    Kolmogorov-Smirnov, Cramér-von Mises and related statistics without extensive tables", JRSS B
    1970).
    """
    root = sqrt(m * n / (m + n))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # where the series converges slowly the p-value is 1 to twelve digits
        return 1.0
    terms = [(-1) ** (k - 1) * exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
    return float(min(max(2 * sum(terms), 0), 1))


def beta_binomial_tail(hits: int, of: int, a: float, b: float) -> float:
    """Probability of so many hits or more, whose chance is drawn once from Beta(a, b).

    Of n exchangeable values, the chance of a new one to lie above the k-th largest is
    Beta(k, n + 1 - k), and to lie outside of their range Beta(2, n - 1): the tail is the p-value
    of a count of new values there, and contains the n values' own sampling error (Wilks,
    "Statistical prediction with special reference to the problem of tolerance limits", 1942).

    Parameters
    ----------
    hits, of
        0 to `of`.
    a, b
        Above 0.
    """
    return float(min(beta_binomial(of, a, b)[hits:].sum(), 1))
