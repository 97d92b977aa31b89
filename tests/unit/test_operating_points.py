"""Thresholds set without labels, what they do, what they cost, and which detector to take."""

from itertools import product

import numpy as np
import pytest

from defectbench.evaluation.at_rate import escapes_at_rate
from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.choice import Merits, choose, compares, simultaneous
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


MERITS = {"a": Merits(0.9, 0.8, 1), "b": Merits(0.95, 0.9, 1), "c": Merits(0.7, 0.6, 1)}
CLEAR = {("b", "a"): (0.05, 0.02, 0.08), ("b", "c"): (0.25, 0.2, 0.3)}
TIED = CLEAR | {("b", "a"): (0.05, -0.01, 0.11)}


def test_the_best_is_taken_when_it_clearly_beats_every_other():
    choice = choose(MERITS, CLEAR)
    assert (choice.verdict, choice.recommended, choice.runner_up) == ("clear", "b", "a")
    assert choice.compared == 3


def test_without_a_clear_difference_the_best_is_taken_and_the_tied_are_named():
    choice = choose(MERITS, TIED)
    assert (choice.verdict, choice.recommended) == ("tied", "b")
    assert choice.tied == ["b", "a"]  # and not c, which is clearly worse


def test_beaten_holds_for_all_comparisons_together():
    """What is clear between two is not among thirteen: 2.87 standard errors for 12 comparisons."""
    pair = {("b", "a"): (0.05, 0.01, 0.09)}
    assert choose({name: MERITS[name] for name in "ab"}, pair).verdict == "clear"
    others = {f"d{k}": Merits(0.5, 0.5, 1) for k in range(11)}
    far = {("b", name): (0.45, 0.4, 0.5) for name in others}
    many = choose(MERITS | others, pair | far | {("b", "c"): (0.25, 0.2, 0.3)})
    assert many.tied == ["b", "a"]
    value, low, high = simultaneous((0.0, -1.959964, 1.959964), 12)
    assert (value, low, high) == pytest.approx((0, -2.865, 2.865), abs=1e-3)


def test_of_equal_merit_the_auroc_and_then_the_cost_decides():
    same = Merits(0.9, 0.8, 5)
    assert choose({"a": same, "b": same._replace(auroc=0.9)}, {}).recommended == "b"
    assert choose({"a": same, "b": same._replace(cost=4)}, {}).recommended == "b"


def test_a_detector_that_breaks_its_promise_cannot_win():
    broken = MERITS | {"b": MERITS["b"]._replace(breaks=True)}
    choice = choose(broken, {("a", "c"): (0.2, 0.1, 0.3)})
    assert (choice.recommended, choice.passed_over) == ("a", ["b"])
    every = {name: merits._replace(breaks=True) for name, merits in MERITS.items()}
    assert choose(every, CLEAR).verdict == "breaks"


def test_a_detector_that_may_be_guessing_is_not_recommended():
    assert choose({"a": Merits(0.6, 0.6, 1, low=0.45)}, {}).verdict == "chance"
    assert choose({"a": Merits(0.6, 0.6, 1, low=0.45)}, {}).recommended is None


def test_one_detector_or_none_is_said_to_be_so():
    assert choose({"a": MERITS["a"]}, {}).verdict == "only"
    assert choose({}, {}).verdict == "none"


def test_escapes_are_compared_where_every_detector_has_them():
    told, untold = {"escape_rate": 0.1}, {"escape_rate": None}
    assert compares([told, told]) == "escapes"
    assert compares([told, untold]) == compares([]) == "auroc"


def test_escapes_at_the_rate_are_those_where_as_many_good_test_images_are_rejected(sample):
    found, replicates = escapes_at_rate(sample, 0.05, 42, "plate")
    # of 60 good images floor(0.05 * 61) - 1 = 2 may lie above
    third = np.sort(sample.scores[sample.labels == 0])[-3]
    slips = sample.scores[sample.labels == 1] <= third
    assert found["escape_rate"] == pytest.approx(slips.mean())
    low, high = found["escape_rate_interval"]
    assert 0 <= low < found["escape_rate"] < high <= 1
    assert replicates.mean() == pytest.approx(found["escape_rate"], abs=0.1)


def test_escapes_at_the_rate_take_as_many_groups_as_the_rate_does(sample):
    few = sample._replace(groups=np.array([f"part {k % 12}" for k in range(100)]))
    found, replicates = escapes_at_rate(few, 0.05, 42, "plate")
    assert (found["groups"], found["needed"]) == (12, 19)
    assert found["escape_rate"] is None
    assert len(replicates) == 0
