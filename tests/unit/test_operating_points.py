"""Thresholds set without labels, what they do, what they cost, and which detector to take."""

import math

import numpy as np
import pytest

from defectbench.evaluation.curves import precision_recall_curve, roc_curve
from defectbench.evaluation.decisions import choose, flags, pooled, preference
from defectbench.evaluation.image_metrics import average_precision, confusion_at, image_auroc
from defectbench.evaluation.operating_points import (
    cost_point,
    images_needed,
    judged,
    operating_point,
    operating_points,
    rate_interval,
)


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and scores of 60 good and 40 defective images, and scores of 100 held out."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [60, 40])
    scores = rng.normal(2 * labels, 1).round(1)  # with ties
    return labels, scores, rng.normal(0, 1, 100)


def test_an_interval_is_exact_at_the_edge_and_inside():
    assert rate_interval(0, 20) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    assert rate_interval(20, 20) == pytest.approx((0.025 ** (1 / 20), 1))
    assert rate_interval(5, 50) == pytest.approx((0.03327, 0.21814), abs=1e-5)  # published tables


def test_each_end_of_an_interval_leaves_two_and_a_half_percent_of_the_binomial():
    low, high = rate_interval(3, 30)
    counts = np.array([math.comb(30, k) for k in range(31)], float)

    def share(rate: float) -> np.ndarray:
        return counts * rate ** np.arange(31) * (1 - rate) ** (30 - np.arange(31))

    assert share(low)[3:].sum() == pytest.approx(0.025)
    assert share(high)[:4].sum() == pytest.approx(0.025)


def test_the_images_that_a_rate_needs_are_those_of_the_binomial():
    assert [images_needed(rate) for rate in (0.05, 0.01, 0.001)] == [59, 299, 2995]
    assert images_needed(0) is None


def test_a_point_keeps_the_asked_rate_on_the_held_out_images_and_reports_the_one_obtained(sample):
    labels, scores, held_out = sample
    for point in operating_points(labels, scores, held_out, [0.1, 0.01, 0.05]):
        assert (held_out >= point["threshold"]).mean() <= point["asked"]
        confusion = confusion_at(labels, scores, point["threshold"])
        assert point["false_alarms"] == confusion.false_positives
        assert point["false_alarm_rate"] == confusion.false_positives / 60
        assert point["found_rate"] == confusion.true_positives / 40
        assert point["escape_rate"] == pytest.approx(1 - point["found_rate"])
        low, high = point["found_rate_interval"]
        assert low < point["found_rate"] < high
    asked = [p["asked"] for p in operating_points(labels, scores, held_out, [0.1, 0.01, 0.1])]
    assert asked == [0.01, 0.1]


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_without_images_has_no_rate(label: int):
    point = operating_point(np.full(3, label), np.arange(3.0), np.zeros(10), 0.05)
    empty = "false_alarm_rate" if label else "found_rate"
    assert point[empty] is None
    assert point[f"{empty}_interval"] is None
    assert point["threshold"] > 0


def test_without_held_out_images_there_is_no_threshold(sample):
    labels, scores, _ = sample
    point = operating_point(labels, scores, np.empty(0), 0.05)
    assert point["threshold"] is None
    assert point["found"] is None
    assert cost_point(labels, scores, np.empty(0), COSTS) is None


COSTS = {"escape": 100.0, "false_alarm": 1.0, "defective_share": 0.02}


def test_the_cost_threshold_is_the_cheapest_of_all_thresholds(sample):
    labels, scores, held_out = sample
    point = cost_point(labels, scores, held_out, COSTS)

    def cost(threshold: float) -> float:
        escapes = (scores[labels == 1] < threshold).mean()
        alarms = (held_out >= threshold).mean()
        return 1000 * (0.02 * 100 * escapes + 0.98 * 1 * alarms)

    assert point["cost_per_1000"] == pytest.approx(cost(point["threshold"]))
    every = np.linspace(-5, 7, 2001)
    assert point["cost_per_1000"] <= min(map(cost, every)) + 1e-9
    assert point["escapes"] == judged(labels, scores, point["threshold"])["escapes"]


def test_dear_escapes_lower_the_threshold_and_dear_false_alarms_raise_it(sample):
    thresholds = [
        cost_point(*sample, {"escape": escape, "false_alarm": alarm, "defective_share": 0.02})[
            "threshold"
        ]
        for escape, alarm in ((1000, 1), (100, 1), (1, 100))
    ]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_where_no_escape_costs_anything_nothing_is_called_defective(sample):
    free = {"escape": 0.0, "false_alarm": 1.0, "defective_share": 0.5}
    assert cost_point(*sample, free)["found"] == 0


def test_the_areas_under_the_drawn_curves_are_the_metrics(sample):
    labels, scores, _ = sample
    rates, found = roc_curve(labels, scores)
    assert np.trapezoid(found, rates) == pytest.approx(image_auroc(labels, scores))
    recall, precision = precision_recall_curve(labels, scores)
    area = (precision * np.diff(recall, prepend=0)).sum()
    assert area == pytest.approx(average_precision(labels, scores))
    assert (rates[0], found[0], rates[-1], found[-1]) == (0, 0, 1, 1)


def test_a_curve_of_one_class_does_not_exist():
    assert roc_curve(np.ones(3), np.arange(3.0)) is None
    assert precision_recall_curve(np.zeros(3), np.arange(3.0)) is None


def test_a_perfect_ranking_needs_three_corners():
    rates, found = roc_curve(np.repeat([0, 1], 50), np.arange(100.0))
    assert list(zip(rates, found, strict=True)) == [(0, 0), (0, 1), (1, 1)]


AUROC = {"a": 0.90, "b": 0.95, "c": 0.70}
LOW = {"a": 0.85, "b": 0.91, "c": 0.60}
TIED = {("a", "b"): (-0.05, -0.11, 0.01), ("b", "c"): (0.25, 0.2, 0.3)}
CLEAR = TIED | {("a", "b"): (-0.05, -0.08, -0.02)}


def by_name(name: str) -> str:
    return name


def test_the_best_is_taken_when_it_clearly_beats_every_other():
    choice = choose(AUROC, LOW, CLEAR, by_name)
    assert (choice.verdict, choice.recommended, choice.runner_up) == ("clear", "b", "a")
    assert choice.difference == pytest.approx((0.05, 0.02, 0.08))


def test_without_a_clear_difference_the_preferred_one_of_the_tied_is_taken():
    choice = choose(AUROC, LOW, TIED, by_name)
    assert (choice.verdict, choice.recommended) == ("tied", "a")
    assert choice.tied == ["b", "a"]  # and not c, which is clearly worse


def test_a_detector_that_may_be_guessing_is_not_recommended():
    assert choose({"a": 0.6}, {"a": 0.45}, {}, by_name).verdict == "chance"
    assert choose({"a": 0.6}, {"a": 0.45}, {}, by_name).recommended is None


def test_one_detector_or_none_is_said_to_be_so():
    assert choose({"a": 0.9}, {"a": 0.8}, {}, by_name).verdict == "only"
    assert choose({}, {}, {}, by_name).verdict == "none"


def test_speed_decides_a_tie_where_it_is_known_of_all_and_errors_otherwise():
    accuracy = {"a": 0.8, "b": 0.9}
    assert min("ab", key=preference({"a": 1.0, "b": 3.0}, accuracy)) == "a"
    assert min("ab", key=preference({"a": 1.0, "b": None}, accuracy)) == "b"
    assert min("ab", key=preference({}, {"a": None, "b": 0.9})) == "b"


ENOUGH = {"test_good": 50, "test_defective": 50}
SOUND = {
    "asked": 0.05,
    "false_alarm_rate_interval": (0.01, 0.1),
    "images_needed": 59,
    "held_out_images": 60,
}


@pytest.mark.parametrize(
    ("metrics", "point", "images", "expected"),
    [
        ({}, {}, {}, []),
        ({}, {"false_alarm_rate_interval": (0.06, 0.2)}, {}, ["more_false_alarms"]),
        ({}, {"false_alarm_rate_interval": (0.0, 0.04)}, {}, ["fewer_false_alarms"]),
        ({}, {"held_out_images": 58}, {}, ["few_held_out"]),
        ({}, {"asked": 0, "images_needed": None}, {}, ["few_held_out"]),
        ({"honest_f1": 0.6, "trivial_f1": 0.6}, {}, {}, ["useless"]),
        ({"honest_f1": 0.7, "trivial_f1": 0.6}, {}, {}, []),
        ({"honest_f1": None, "trivial_f1": 0.6}, {}, {}, []),
        ({}, {"false_alarm_rate_interval": None}, {"test_good": 0}, ["few_good"]),
        ({}, {}, {"test_defective": 9}, ["few_defective"]),
    ],
)
def test_flags_name_what_speaks_against_a_threshold(metrics, point, images, expected):
    found = flags(metrics, SOUND | point, ENOUGH | images)
    if point.get("asked") == 0:
        found.remove("more_false_alarms")
    assert found == expected


def test_counts_of_several_categories_are_pooled():
    one = {"found": 3, "escapes": 1, "false_alarms": 2, "passed": 8}
    assert pooled([one, one, dict.fromkeys(one)]) == {k: 2 * v for k, v in one.items()}
