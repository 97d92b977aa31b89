"""Two samples of one distribution: p-values that contain the error of both."""

import numpy as np
import pytest
from scipy import stats

from defectbench.evaluation.two_samples import (
    beta_binomial_tail,
    kolmogorov_smirnov,
)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
def test_two_sample_test_is_kolmogorov_and_smirnovs(shift: float):
    rng = np.random.default_rng(42)
    a, b = rng.normal(size=300), rng.normal(size=200) + shift
    distance, p_value = kolmogorov_smirnov(a, b)
    exact = stats.ks_2samp(a, b)
    assert distance == pytest.approx(exact.statistic)
    assert p_value == pytest.approx(exact.pvalue, rel=0.25, abs=0.01)


def test_equal_samples_do_not_differ():
    assert kolmogorov_smirnov([1, 2, 2, 3], [1, 2, 2, 3]) == (0, 1)


def test_of_values_in_groups_each_group_counts_once():
    rng = np.random.default_rng(42)
    a, b = rng.normal(size=13), rng.normal(size=8) + 1
    alone = kolmogorov_smirnov(a, b)
    assert kolmogorov_smirnov(np.repeat(a, 20), np.repeat(b, 20), (13, 8)) == alone
    assert kolmogorov_smirnov(np.repeat(a, 20), np.repeat(b, 20))[1] < alone[1] / 100


@pytest.mark.parametrize(("hits", "of", "a", "b"), [(0, 5, 1, 20), (3, 50, 1, 59), (40, 40, 2, 9)])
def test_the_tail_is_that_of_the_beta_binomial_distribution(hits: int, of: int, a: int, b: int):
    expected = stats.betabinom.sf(hits - 1, of, a, b)
    assert beta_binomial_tail(hits, of, a, b) == pytest.approx(expected)


def test_new_values_outside_of_a_range_are_as_many_as_the_tail_says():
    rng = np.random.default_rng(42)
    known, new = rng.normal(size=(20_000, 20)), rng.normal(size=(20_000, 50))
    low, high = known.min(axis=1, keepdims=True), known.max(axis=1, keepdims=True)
    outside = ((new < low) | (new > high)).sum(axis=1)
    for hits in (5, 10, 20):
        assert beta_binomial_tail(hits, 50, 2, 19) == pytest.approx(
            (outside >= hits).mean(), abs=0.01
        )
