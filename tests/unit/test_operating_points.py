"""Thresholds set without labels, what they do, what they cost, and which detector to take."""

from itertools import product

import numpy as np
import pytest

from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.choice import choose, preference
from defectbench.evaluation.image_metrics import (
    average_precision,
    confusion_at,
    image_auroc,
    precision_recall_curve,
    roc_curve,
)
from defectbench.evaluation.operating_points import (
    cost_point,
    judged,
    mean_point,
    operating_points,
)
from defectbench.evaluation.rates import rate_interval
from defectbench.records import HeldOutScores, Scores


def scored(labels: np.ndarray, scores: np.ndarray, groups: object = "") -> Scores:
    """Scores of test images, by default of no groups."""
    return Scores([], labels, labels, np.broadcast_to(groups, len(labels)), scores)


def held_out(scores: np.ndarray, groups: object = "") -> HeldOutScores:
    """Scores of training images that were held out, by default of no groups."""
    return HeldOutScores([], np.broadcast_to(groups, len(scores)), scores, scores)


def point_at(test: Scores, train: HeldOutScores, rate: float) -> dict:
    """The operating point of one asked rate."""
    return operating_points(test, train, [rate], "each")[0]


TRAIN = held_out(np.random.default_rng(4).normal(0, 1, 100))


@pytest.fixture
def sample() -> Scores:
    """60 good and 40 defective images."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [60, 40])
    return scored(labels, rng.normal(2 * labels, 1).round(1))  # with ties


def test_a_point_keeps_the_asked_rate_on_the_held_out_images_and_reports_the_one_obtained(sample):
    for point in operating_points(sample, TRAIN, [0.1, 0.01, 0.05], "each"):
        assert (TRAIN.scores >= point["threshold"]).mean() <= point["asked"]
        confusion = confusion_at(sample.labels, sample.scores, point["threshold"])
        assert point["false_alarms"] == confusion.false_positives
        assert point["false_alarm_rate"] == pytest.approx(confusion.false_positives / 60)
        assert point["found_rate"] == pytest.approx(confusion.true_positives / 40)
        assert point["escape_rate"] == pytest.approx(1 - point["found_rate"])
        assert point["found_rate_interval"] == rate_interval(point["found_rate"], 40)
    points = operating_points(sample, TRAIN, [0.1, 0.01, 0.1], "each")
    rules = ["average", "tolerance"]
    assert [(p["asked"], p["rule"]) for p in points] == [*product([0.01, 0.1], rules)]


def test_a_rate_incompatible_with_the_expected_one_says_on_which_side_it_lies(sample):
    trains = [held_out(TRAIN.scores + shift) for shift in (3, 0, -3)]
    sides = [point_at(sample, train, 0.2)["against_promise"] for train in trains]
    assert sides == ["below", None, "above"]


def test_images_of_a_group_count_as_one(sample):
    groups = np.repeat([f"part {k}" for k in range(20)], 5)
    point = point_at(sample._replace(groups=groups), held_out(TRAIN.scores, groups), 0.05)
    alone = point_at(sample, TRAIN, 0.05)
    assert (point["groups"], alone["groups"], point["images"]) == (20, 100, 100)
    assert point["threshold"] > alone["threshold"]
    assert independent_images(np.array(["a", "a", "", ""])) == 3


def test_images_that_agree_within_their_groups_know_as_little_as_the_groups():
    labels, scores = np.zeros(40, int), np.repeat([0.0, 1.0], [36, 4])
    groups = np.repeat([f"part {k}" for k in range(10)], 4)
    low, high = judged(scored(labels, scores, groups), 0.5)["false_alarm_rate_interval"]
    alone_low, alone_high = judged(scored(labels, scores), 0.5)["false_alarm_rate_interval"]
    assert low < alone_low
    assert high > alone_high


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_without_images_has_no_rate(label: int):
    point = point_at(scored(np.full(3, label), np.arange(3.0)), held_out(np.zeros(10)), 0.05)
    empty = "false_alarm_rate" if label else "found_rate"
    assert point[empty] is None
    assert point[f"{empty}_interval"] is None
    assert point["threshold"] > 0


def test_without_held_out_images_there_is_no_threshold(sample):
    nothing = held_out(np.empty(0))
    point = point_at(sample, nothing, 0.05)
    assert point["threshold"] is point["found"] is point["against_promise"] is None
    assert point["images"] == 0
    assert cost_point(sample, nothing, COSTS, SHARE) is None


COSTS = {"escape": 100.0, "false_alarm": 1.0}
SHARE = 0.02


def test_the_cost_threshold_is_the_cheapest_of_all_thresholds(sample):
    labels, scores = sample.labels, sample.scores
    point = cost_point(sample, TRAIN, COSTS, SHARE)

    def cost(threshold: float) -> float:
        escapes = (scores[labels == 1] < threshold).mean()
        alarms = ((TRAIN.scores >= threshold).sum() + 1) / (len(TRAIN.scores) + 1)
        return 1000 * (0.02 * 100 * escapes + 0.98 * 1 * alarms)

    assert point["cost_per_1000"] == pytest.approx(cost(point["threshold"]))
    every = np.linspace(-5, 7, 2001)
    assert point["cost_per_1000"] <= min(map(cost, every)) + 1e-9
    assert point["escapes"] == judged(sample, point["threshold"])["escapes"]


def test_the_cost_threshold_has_no_interval_from_the_defects_that_chose_it(sample):
    point = cost_point(sample, TRAIN, COSTS, SHARE)
    assert point["found_rate_interval"] is point["escape_rate_interval"] is None
    assert point["false_alarm_rate_interval"]


def test_of_several_seeds_escapes_are_means_and_the_threshold_is_the_first(sample):
    points = [point_at(sample, TRAIN, rate) for rate in (0.05, 0.2)]
    mean = mean_point(points)
    for name in ("escapes", "escape_rate", "false_alarm_rate"):
        assert mean[name] == pytest.approx((points[0][name] + points[1][name]) / 2)
    lows = [point["escape_rate_interval"][0] for point in points]
    assert mean["escape_rate_interval"][0] == pytest.approx(sum(lows) / 2)
    assert mean["threshold"] == points[0]["threshold"]
    assert mean_point(points[:1]) == points[0]


def test_dear_escapes_lower_the_threshold_and_dear_false_alarms_raise_it(sample):
    thresholds = [
        cost_point(sample, TRAIN, {"escape": escape, "false_alarm": alarm}, SHARE)["threshold"]
        for escape, alarm in ((1000, 1), (100, 1), (1, 100))
    ]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_where_no_escape_costs_anything_nothing_is_called_defective(sample):
    free = {"escape": 0.0, "false_alarm": 1.0, "defective_share": 0.5}
    assert cost_point(sample, TRAIN, free, SHARE)["found"] == 0


def test_the_areas_under_the_drawn_curves_are_the_metrics(sample):
    labels, scores = sample.labels, sample.scores
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


AUROC = {"a": (0.90, 0.85), "b": (0.95, 0.91), "c": (0.70, 0.60)}
TIED = {("b", "a"): (0.05, -0.01, 0.11), ("b", "c"): (0.25, 0.2, 0.3)}
CLEAR = TIED | {("b", "a"): (0.05, 0.02, 0.08)}
BY_NAME = {name: name for name in "abc"}


def test_the_best_is_taken_when_it_clearly_beats_every_other():
    choice = choose(AUROC, CLEAR, BY_NAME)
    assert (choice.verdict, choice.recommended, choice.runner_up) == ("clear", "b", "a")
    assert choice.difference == pytest.approx((0.05, 0.02, 0.08))


def test_without_a_clear_difference_the_preferred_one_of_the_tied_is_taken():
    choice = choose(AUROC, TIED, BY_NAME)
    assert (choice.verdict, choice.recommended) == ("tied", "a")
    assert choice.tied == ["b", "a"]  # and not c, which is clearly worse


def test_a_detector_that_may_be_guessing_is_not_recommended():
    assert choose({"a": (0.6, 0.45)}, {}, BY_NAME).verdict == "chance"
    assert choose({"a": (0.6, 0.45)}, {}, BY_NAME).recommended is None


def test_one_detector_or_none_is_said_to_be_so():
    assert choose({"a": (0.9, 0.8)}, {}, BY_NAME).verdict == "only"
    assert choose({}, {}, BY_NAME).verdict == "none"


def test_the_fewest_errors_decide_a_tie():
    errors = preference({"a": 0.8, "b": 0.9, "c": None})
    assert sorted("abc", key=errors.get) == ["b", "a", "c"]
