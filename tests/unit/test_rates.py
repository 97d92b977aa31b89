"""Intervals of rates, of images in groups too, and what they say of a line of few defects."""

import numpy as np
import pytest
from scipy.stats import betabinom, binomtest

from defectbench.evaluation.intervals import mean_interval, ratio_interval
from defectbench.evaluation.operating_points import judged, together
from defectbench.evaluation.prevalence import on_the_line, parts_to_show, shown_by_test_parts
from defectbench.evaluation.rates import (
    beta_binomial,
    correlation_in_groups,
    effective_size,
    independent_size,
    rate_interval,
    share_interval,
)
from defectbench.records import Scores

MODULES = np.repeat(np.arange(9).astype(str), [18, 24, 30, 33, 36, 36, 36, 42, 48])
"""303 images of nine modules."""


def parts(labels: np.ndarray, called: np.ndarray, groups: np.ndarray) -> Scores:
    """Test images that a threshold of 1 calls defective or not."""
    return Scores([""] * len(labels), labels, labels.astype(str), groups, called.astype(float))


@pytest.mark.parametrize(
    ("hits", "of"),
    [(0, 20), (1, 20), (20, 20), (7, 60), (60, 60), (0, 1), (7, 300), (150, 3000)],
)
def test_the_interval_of_a_rate_is_clopper_and_pearsons(hits: int, of: int):
    expected = binomtest(hits, of).proportion_ci(method="exact")
    assert rate_interval(hits / of, of) == pytest.approx(tuple(expected), abs=1e-9)


def test_images_without_groups_are_independent_and_one_group_is_one_image():
    hits = np.arange(36) < 5
    assert effective_size(hits, np.full(36, "")) == 36
    assert share_interval(hits, np.full(36, "")) == rate_interval(5 / 36, 36)
    assert effective_size(hits, np.full(36, "a")) == 1
    assert effective_size(np.ones(36), np.full(36, "a")) == 1


def test_images_in_groups_count_as_what_they_are_worth():
    groups = np.repeat(["a", "b", "c", "d", "e", "f"], 6)
    together = np.repeat([True, False, False, False, True, False], 6)
    assert effective_size(together, groups) == pytest.approx(6)
    assert effective_size(np.zeros(36, bool), groups) == pytest.approx(6)
    scattered = np.tile([True, False, False, False, True, False], 6)
    # four of ten groups are supposed to be all alike: 36 / (1 + 5 · 0.4)
    assert effective_size(scattered, groups) == pytest.approx(12)


def test_the_interval_of_one_alarm_in_few_groups_is_near_that_of_none():
    none, one = np.zeros(303), np.arange(303) == 0
    of_none, of_one = share_interval(none, MODULES), share_interval(one, MODULES)
    assert of_none == pytest.approx((0, 0.353), abs=1e-3)
    assert 0 < of_one[0] < 1e-6
    assert 0.8 * of_none[1] < of_one[1] < of_none[1]


def test_the_correlation_in_groups_is_that_of_the_analysis_of_variance():
    numbers = np.repeat([0, 1, 2], [2, 3, 4])
    hits = np.array([1.0, 0, 1, 1, 1, 0, 0, 0, 1])
    # by hand: between groups 91/144 with 2 degrees of freedom, within 5/4 with 6
    between, within, size = 0.4861111, 0.2083333, (9 - 29 / 9) / 2
    expected = (between - within) / (between + (size - 1) * within)
    assert correlation_in_groups(hits, numbers) == pytest.approx(expected, abs=1e-6)
    assert correlation_in_groups(np.ones(9), numbers) == 1


def test_rates_of_several_categories_are_put_together_from_the_interval_of_each():
    few = parts(np.zeros(303), np.zeros(303), MODULES)
    many = parts(np.zeros(100), np.arange(100) < 3, np.full(100, ""))
    points = [judged(each, 1) for each in (few, many)]
    both = together(points)
    assert both["false_alarm_rate"] == 3 / 403
    low, high = both["false_alarm_rate_interval"]
    assert low == pytest.approx(3 / 403 - 100 / 403 * (0.03 - rate_interval(0.03, 100)[0]))
    # the width of few modules cannot vanish beside many images
    assert high > 3 / 403 + 303 / 403 * share_interval(np.zeros(303), MODULES)[1]
    assert both["escape_rate"] is both["escape_rate_interval"] is None


def test_a_mean_with_weights_is_as_sure_as_its_parts():
    limits = [(0.1, 0.4), (0.5, 0.7)]
    assert mean_interval([0.2, 0.6], limits, [1, 3]) == pytest.approx(
        (0.5 - (0.025**2 + 0.075**2) ** 0.5, 0.5 + (0.05**2 + 0.075**2) ** 0.5)
    )
    assert mean_interval([0.2, 0.6], limits, [2, 2]) == mean_interval([0.2, 0.6], limits)


def test_the_interval_of_a_ratio_is_donner_and_zous():
    # of sure denominators and of sure numerators it is that of the other
    assert ratio_interval((0.2, 0.5), ((0.1, 0.3), (0.5, 0.5))) == pytest.approx((0.2, 0.6))
    assert ratio_interval((0.2, 0.5), ((0.2, 0.2), (0.4, 0.8))) == pytest.approx((0.25, 0.5))
    assert ratio_interval((0.0, 0.5), ((0.0, 0.1), (0.3, 0.7)))[0] == 0
    assert ratio_interval((0.1, 0.0), ((0.05, 0.2), (0.0, 0.2)))[1] == np.inf


def test_of_the_parts_rejected_on_a_line_most_are_good():
    labels = np.repeat([0, 1], [100, 50])
    called = np.concatenate([np.arange(100) < 5, np.arange(50) < 40])
    point = judged(parts(labels, called, np.full(150, "")), 1)
    line = on_the_line(point, 0.01)
    assert line["rejected_rate"] == pytest.approx(0.01 * 0.8 + 0.99 * 0.05)
    assert line["defective_rate"] == pytest.approx(0.008 / 0.0575)
    assert line["escape_rate"] == pytest.approx(0.002)
    for name in ("rejected_rate", "defective_rate", "escape_rate"):
        low, high = line[f"{name}_interval"]
        assert 0 <= low < line[name] < high <= 1


def test_a_share_of_nothing_rejected_is_not_defined():
    labels = np.repeat([0, 1], 20)
    quiet = on_the_line(judged(parts(labels, np.zeros(40), np.full(40, "")), 1), 0.01)
    assert quiet["defective_rate"] is None
    assert on_the_line(judged(parts(labels, labels, labels), None), 0.01) is None


def test_no_mistake_on_so_many_parts_shows_a_rate_and_a_rate_takes_so_many_parts():
    labels = np.repeat([0, 1], [303, 63])
    groups = np.concatenate([MODULES, np.full(63, "")])
    found = shown_by_test_parts(parts(labels, labels, groups))
    assert found["defective"] == {
        "images": 63,
        "independent": 63,
        "shown": pytest.approx(0.0569, abs=1e-4),
    }
    assert found["good"]["independent"] == pytest.approx(8.47, abs=0.01)
    assert found["good"]["shown"] == pytest.approx(0.353, abs=1e-3)
    count = parts_to_show(0.01)
    assert rate_interval(0, count)[1] <= 0.01 < rate_interval(0, count - 1)[1]


def test_groups_of_one_size_count_as_many_and_unequal_ones_as_fewer():
    assert independent_size(["a"] * 5 + ["b"] * 5) == 2
    assert independent_size([""] * 10) == 10
    assert independent_size(["a"] * 9 + ["b"]) == pytest.approx(100 / 82)


@pytest.mark.parametrize(("of", "a", "b"), [(1, 1, 9), (60, 3, 57), (500, 1.4, 8.6)])
def test_the_number_of_images_called_defective_is_beta_binomial(of: int, a: float, b: float):
    expected = betabinom.pmf(np.arange(of + 1), of, a, b)
    assert beta_binomial(of, a, b) == pytest.approx(expected, abs=1e-12)
