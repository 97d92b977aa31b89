"""Metrics equal scikit-learn's and hand-computed values, ties and single classes included."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)

from defectbench.evaluation import bootstrap
from defectbench.evaluation import image_metrics as of_images
from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.cautions import cautions, flags, reasons
from defectbench.evaluation.image_figures import defect_metrics
from defectbench.evaluation.image_metrics import (
    Confusion,
    average_precision,
    confusion_at,
    image_auroc,
    image_metrics,
    rank_errors,
    trivial_f1,
    worst_ranked,
)
from defectbench.evaluation.intervals import (
    auroc_interval,
    difference_interval,
    mean_interval,
    monotone_interval,
)
from defectbench.evaluation.metric_intervals import (
    confusion_intervals,
    metric_intervals,
    ranking_intervals,
)
from defectbench.evaluation.promises import Asked, Promise, promise
from defectbench.evaluation.thresholds import (
    oracle_threshold,
    threshold_at_false_positive_rate,
)
from defectbench.records import Scores

LABELS = np.array([0, 0, 1, 1])


def alone(labels: np.ndarray) -> np.ndarray:
    """Groups of images that have none."""
    return np.full(len(labels), "")


def test_auroc_by_hand():
    assert image_auroc(LABELS, np.array([1.0, 3, 2, 4])) == 0.75
    assert image_auroc(LABELS, np.array([1.0, 1, 1, 1])) == 0.5
    assert image_auroc(LABELS, np.array([1.0, 2, 2, 3])) == 0.875


@pytest.mark.parametrize("distinct", [3, 10, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_scikit_learns_with_and_without_ties(distinct: int, seed: int):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 83)
    scores = np.round((rng.normal(size=83) + labels) * distinct) / distinct
    assert image_auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = average_precision_score(labels, scores)
    assert average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    threshold = oracle_threshold(labels, scores)
    confusion = confusion_at(labels, scores, threshold)
    predicted = scores >= threshold
    assert confusion.f1 == pytest.approx(best, abs=1e-12)
    assert confusion.f1 == pytest.approx(f1_score(labels, predicted), abs=1e-12)
    expected = balanced_accuracy_score(labels, predicted)
    assert confusion.balanced_accuracy == pytest.approx(expected, abs=1e-12)


def test_oracle_threshold_by_hand():
    # thresholds 4, 3, 2, 1 give F1 2/3, 1/2, 4/5, 2/3
    assert oracle_threshold(LABELS, np.array([1.0, 3, 2, 4])) == 2


def test_of_equal_f1_the_lowest_threshold_is_the_oracle():
    # thresholds 4, 3, 2, 1 give F1 2/3, 1/2, 2/5, 2/3
    labels = np.array([1, 0, 0, 1])
    scores = np.array([1.0, 2, 3, 4])
    assert oracle_threshold(labels, scores) == 1


def test_prediction_includes_the_threshold():
    confusion = confusion_at(LABELS, np.array([1.0, 2, 2, 3]), 2)
    assert confusion == Confusion(2, 1, 0, 1)
    assert confusion.f1 == 0.8
    assert confusion.balanced_accuracy == 0.75


@pytest.mark.parametrize("labels", [[], [0, 0, 0], [1, 1, 1]])
def test_a_missing_class_leaves_metrics_undefined(labels: list[int]):
    labels, scores = np.array(labels, int), np.arange(len(labels), dtype=float)
    thresholds = {"oracle": oracle_threshold(labels, scores), "honest": 1.0}
    metrics = image_metrics(labels, scores, thresholds)
    undefined = {name for name, value in metrics.items() if value is None}
    assert {"image_auroc", "aupr", "trivial_f1", "honest_f1", "honest_balanced_accuracy"} <= (
        undefined
    )
    assert thresholds["oracle"] is None
    assert {name for name in metrics if name.startswith("oracle")} <= undefined
    assert ("honest_recall" in undefined) == (1 not in labels)
    assert ("honest_false_positive_rate" in undefined) == (0 not in labels)
    replicates = bootstrap_replicates(labels, scores, alone(labels), 42, "bottle")
    intervals = metric_intervals(metrics, replicates, labels, scores >= 1.0, alone(labels))
    assert set(intervals).isdisjoint(undefined)
    why = reasons(metrics, labels, thresholds)
    assert undefined - {name for name in undefined if name.endswith("tives")} <= set(why)
    assert worst_ranked(labels, scores) == []


def test_without_an_image_there_is_no_threshold():
    assert threshold_at_false_positive_rate(np.array([]), 0.05) is None
    assert promise(np.array([]), [], Asked(0.05))["threshold"] is None
    labels = np.repeat([0, 1], 10)
    metrics = image_metrics(labels, np.arange(20.0), {"honest": None})
    assert metrics["honest_f1"] is metrics["honest_true_positives"] is None
    why = reasons(metrics, labels, {"honest": None})
    assert why["honest_recall"] == "no threshold, for lack of held-out images"


def test_false_positive_rate_by_hand():
    assert confusion_at(LABELS, np.array([1.0, 3, 2, 4]), 2).false_positive_rate == 0.5
    assert Confusion(1, 0, 0, 0).false_positive_rate is None


@pytest.mark.parametrize(
    ("rate", "called"), [(0, 0), (0.05, 0), (0.1, 1), (0.25, 2), (0.99, 9), (1, 10)]
)
def test_threshold_lets_at_most_the_rate_pass(rate: float, called: int):
    held_out = np.arange(10.0)
    threshold = threshold_at_false_positive_rate(held_out, rate)
    assert (held_out >= threshold).sum() == called


@pytest.mark.parametrize(
    ("rate", "images", "called"), [(0.29, 100, 29), (0.145, 200, 29), (0.072, 375, 27)]
)
def test_a_share_that_binary_numbers_miss_by_a_hair_is_a_whole_number_of_images(
    rate: float, images: int, called: int
):
    given = np.arange(float(images))
    assert (given >= threshold_at_false_positive_rate(given, rate)).sum() == called


def test_ties_at_the_threshold_are_not_called_defective():
    held_out = np.array([1.0, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    assert (held_out >= threshold_at_false_positive_rate(held_out, 0.5)).sum() == 0


def test_everything_is_defective_by_hand():
    assert trivial_f1(np.array([0, 1, 1, 1])) == pytest.approx(6 / 7)
    assert trivial_f1(np.zeros(3)) is None


def test_rank_errors_by_hand():
    # good 1, 3; defective 2, 4: the good 3 beats one of two, the defective 2 loses to one of two
    np.testing.assert_array_equal(rank_errors(LABELS, np.array([1.0, 3, 2, 4])), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(rank_errors(LABELS, np.ones(4)), [0.5] * 4)
    np.testing.assert_array_equal(rank_errors(np.zeros(2), np.ones(2)), [0, 0])


def test_rank_errors_average_to_what_auroc_lacks():
    rng = np.random.default_rng(42)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60).astype(float)
    missing = 1 - image_auroc(labels, scores)
    for label in (0, 1):
        assert rank_errors(labels, scores)[labels == label].mean() == pytest.approx(missing)


def test_bootstrap_has_the_exact_distribution_of_a_small_case():
    # good 1, 3 and defective 2: resampled good pairs (1,1), (1,3), (3,1), (3,3), equally likely
    replicates = bootstrap_replicates(
        np.array([0, 0, 1]), np.array([1.0, 3, 2]), np.full(3, ""), 42, "bottle"
    )
    values, counts = np.unique(replicates["image_auroc"], return_counts=True)
    np.testing.assert_array_equal(values, [0, 0.5, 1])
    np.testing.assert_allclose(counts / counts.sum(), [0.25, 0.5, 0.25], atol=0.04)
    # the one defective image ranks below both, one, or none of the two good ones
    values = np.unique(replicates["aupr"])
    np.testing.assert_allclose(values, [1 / 3, 1 / 2, 1])


@pytest.mark.parametrize("distinct", [2, 1000])
def test_a_replicate_is_the_metric_of_the_resampled_images(distinct: int):
    rng = np.random.default_rng(42)
    labels = rng.integers(0, 2, 50)
    scores = np.round((rng.normal(size=50) + labels) * distinct) / distinct
    order = np.argsort(-scores, kind="stable")
    ties = of_images.last_of_ties(scores[order])
    times = next(bootstrap.resamples(labels, alone(labels), 42, "bottle", 6))
    found = bootstrap._resampled_metrics(times[:, order], labels[order] == 1, ties)
    for row, auroc, aupr in zip(times, *found, strict=True):
        resampled = np.repeat(labels, row), np.repeat(scores, row)
        assert auroc == pytest.approx(roc_auc_score(*resampled), abs=1e-12)
        assert aupr == pytest.approx(average_precision_score(*resampled), abs=1e-12)


def test_groups_are_resampled_whole_and_each_kind_apart():
    # groups: good a (2 images) and b (1); defective c (2) and one alone; d holds both
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    groups = np.array(["a", "a", "b", "c", "c", "", "d", "d"])
    times = next(bootstrap.resamples(labels, groups, 42, "bottle", 200))
    assert (times[:, [0, 3, 6]] == times[:, [1, 4, 7]]).all()
    assert (times[:, 0] + times[:, 2] == 2).all()
    assert (times[:, 3] + times[:, 5] == 2).all()
    assert (times[:, 6] == 1).all()


def test_images_without_a_group_are_groups_of_their_own():
    np.testing.assert_array_equal(
        bootstrap.group_numbers(np.array(["b", "", "a", "b", ""])), [1, 2, 0, 1, 3]
    )
    assert bootstrap.independent_images(np.array(["", "", "b", "b"])) == 3


def test_replicates_are_the_same_images_for_every_detector_of_a_category():
    rng = np.random.default_rng(42)
    labels, scores = rng.integers(0, 2, 60), rng.normal(size=60)

    def drawn(scores: np.ndarray, seed: int, category: str) -> np.ndarray:
        return bootstrap_replicates(labels, scores, alone(labels), seed, category)["image_auroc"]

    first = drawn(scores, 42, "bottle")
    np.testing.assert_array_equal(first, drawn(scores * 2 + 1, 42, "bottle"))
    assert (first != drawn(scores, 42, "cable")).any()
    assert (first != drawn(scores, 43, "bottle")).any()


def test_large_test_sets_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(42)
    labels, scores = rng.integers(0, 2, 40), rng.normal(size=40)
    monkeypatch.setattr(bootstrap, "REPLICATE_BLOCK", 40 * 300)
    replicates = bootstrap_replicates(labels, scores, alone(labels), 42, "bottle")
    assert {array.shape for array in replicates.values()} == {(bootstrap.REPLICATES,)}


@pytest.mark.parametrize("difference", [1.0, 2.5])
def test_intervals_cover_the_truth_as_often_as_they_say(
    difference: float, monkeypatch: pytest.MonkeyPatch
):
    # AUROC of N(d, 1) against N(0, 1) is Φ(d/√2); reports/coverage.md is the full study
    monkeypatch.setattr(bootstrap, "REPLICATES", 200)
    truth, covered, labels = norm.cdf(difference / 2**0.5), 0, np.repeat([0, 1], [20, 60])
    for trial in range(100):
        rng = np.random.default_rng(trial)
        scores = rng.normal(size=80) + difference * labels
        low, high = ranking(labels, scores, alone(labels), trial)["image_auroc"]
        covered += low <= truth <= high
    assert 90 <= covered <= 100


def ranking(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int = 42) -> dict:
    """Intervals of AUROC and AUPR."""
    metrics = image_metrics(labels, scores, {})
    replicates = bootstrap_replicates(labels, scores, groups, seed, "bottle")
    return ranking_intervals(metrics, replicates, labels, groups)


@pytest.mark.parametrize(("n_good", "bound"), [(10, 0.884), (20, 0.933), (60, 0.967)])
def test_a_perfect_ranking_has_the_lower_bound_its_images_support(n_good: int, bound: float):
    labels = np.repeat([0, 1], [n_good, 60])
    found = ranking(labels, labels.astype(float), alone(labels))
    assert found["image_auroc"] == (pytest.approx(bound, abs=0.005), 1)
    assert found["aupr"] == (pytest.approx(0.94, abs=0.005), 1)
    worst = ranking(labels, -labels.astype(float), alone(labels))["image_auroc"]
    assert worst == (0, pytest.approx(1 - bound, abs=0.005))


def test_one_wrong_pair_of_many_millions_has_an_interval_up_to_1():
    low, high = auroc_interval(1 - 4e-8, 1e-12, 5000, 5000)
    assert 0.999 < low < 1 - 4e-8
    assert high == 1


def test_the_interval_of_an_auroc_follows_the_variance_but_not_below_what_is_expected():
    # solves |0.9 - t| = 1.96 √V(t) by hand for 20 and 60 images
    narrow, wide = auroc_interval(0.9, 0.0, 20, 60), auroc_interval(0.9, 1e-2, 20, 60)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    for end in narrow:
        inner = 1 + 39 * ((1 - end) / (2 - end) + end / (1 + end))
        variance = 0.75 * end * (1 - end) * inner / 1200
        assert abs(0.9 - end) == pytest.approx(1.959964 * variance**0.5, abs=1e-6)


def test_groups_widen_every_interval():
    rng = np.random.default_rng(42)
    groups = np.repeat(np.arange(40).astype(str), 6)
    labels = np.repeat([0, 1], 120)
    scores = labels + np.repeat(rng.normal(size=40), 6) + 0.1 * rng.normal(size=240)
    for of in (
        lambda groups: ranking(labels, scores, groups),
        lambda groups: confusion_intervals(labels, scores > 0.9, groups),
    ):
        independent, grouped = of(alone(labels)), of(groups)
        for name in independent:
            assert np.ptp(grouped[name]) > 1.5 * np.ptp(independent[name])


def test_intervals_at_a_threshold_hold_their_metrics():
    rng = np.random.default_rng(42)
    labels = rng.integers(0, 2, 80)
    predicted = rng.random(80) < 0.2 + 0.6 * labels
    confusion = confusion_at(labels, predicted.astype(float), 1)
    found = confusion_intervals(labels, predicted, alone(labels))
    assert set(found) == {"recall", "false_positive_rate", "f1", "balanced_accuracy"}
    for name, (low, high) in found.items():
        assert 0 <= low < getattr(confusion, name) < high <= 1


def test_independent_distances_are_squared_and_added():
    limits = [(0.4, 0.8), (0.1, 0.3)]
    assert monotone_interval(lambda a, b: a - b, [0.6, 0.2], limits) == pytest.approx(
        (0.4 - 0.05**0.5, 0.4 + 0.05**0.5)
    )
    assert mean_interval([0.9, 1.0], [(0.8, 0.95), (0.9, 1.0)]) == pytest.approx(
        (0.95 - 0.02**0.5 / 2, 0.975)
    )


def test_two_perfect_detectors_are_not_known_to_be_equal():
    perfect = (0.93, 1.0)
    low, high = difference_interval((1.0, 1.0), (perfect, perfect), 0.0)
    assert (low, high) == pytest.approx((-0.07, 0.07))


def test_errors_on_the_same_images_narrow_a_difference():
    values, limits = (0.8, 0.7), ((0.7, 0.9), (0.6, 0.8))
    narrow = difference_interval(values, limits, 0.9)
    wide = difference_interval(values, limits, 0.0)
    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]


def test_without_correlation_a_difference_has_movers_interval():
    low, high = difference_interval((0.9, 0.8), ((0.7, 0.95), (0.6, 0.9)), 0.0)
    assert (low, high) == pytest.approx((0.1 - np.hypot(0.2, 0.1), 0.1 + np.hypot(0.05, 0.2)))


def test_a_detector_does_not_differ_from_itself_however_skewed_its_interval():
    limits = ((0.7, 0.99), (0.7, 0.99))
    assert difference_interval((0.95, 0.95), limits, 1.0) == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize("correlation", [-0.9, 0.3, 0.8, 0.99])
def test_a_difference_covers_the_ellipse_of_both_errors(correlation: float):
    angle = np.linspace(0, 2 * np.pi, 100_001)
    first = np.cos(angle)
    second = correlation * first + (1 - correlation**2) ** 0.5 * np.sin(angle)
    of_first = np.where(first > 0, 0.25, 0.04) * first
    of_second = np.where(second > 0, 0.1, 0.05) * second
    expected = 0.05 - (of_first - of_second).max(), 0.05 - (of_first - of_second).min()
    found = difference_interval((0.95, 0.9), ((0.7, 0.99), (0.8, 0.95)), correlation)
    assert found == pytest.approx(expected, abs=1e-5)  # the sampling's


def scored(labels: np.ndarray, scores: np.ndarray | None = None, groups: object = "") -> Scores:
    """Scores of test images, by default of no groups."""
    scores = labels.astype(float) if scores is None else scores
    return Scores([], labels, labels, np.broadcast_to(groups, len(labels)), scores)


def promised(groups: np.ndarray | int) -> Promise:
    """What a threshold of 1 lets expect: no score of held-out images reaches it."""
    groups = np.full(groups, "") if isinstance(groups, int) else groups
    return promise(np.zeros(len(groups)), groups, Asked(0.05)) | {"threshold": 1.0}


def test_small_samples_are_cautioned_against():
    few = scored(np.repeat([0, 1], [9, 10]))
    found = cautions(few, promised(18))
    assert found.keys() == {"few_good", "estimate"}
    assert found["few_good"] == "only 9 good test images: too few to conclude from"
    assert found["estimate"] == (
        "the honest threshold is an estimate: 5 % takes 19 held-out good images; a threshold "
        "above all 18 here would keep 5.3 % on average"
    )
    enough = scored(np.repeat([0, 1], 10))
    assert cautions(enough, promised(19)) == {}


def test_images_of_one_group_count_as_one_in_cautions():
    test = scored(np.repeat([0, 1], 30), groups=np.repeat(np.arange(12).astype(str), 5))
    found = cautions(test, promised(np.repeat(np.arange(18).astype(str), 6)))
    assert found["few_good"] == "only 6 groups of good images: go by the intervals"
    assert "19 held-out groups of good images; a threshold above all 18" in found["estimate"]


def test_a_rate_of_0_is_an_estimate_whatever_the_number_of_images():
    found = cautions(scored(np.repeat([0, 1], 10)), promise(np.zeros(500), [""] * 500, Asked(0)))
    assert "no number of images supports a false-positive rate of 0" in found["estimate"]


def test_figures_of_few_images_are_given_a_reason():
    labels = np.repeat([0, 1], [9, 10])
    metrics = image_metrics(labels, np.arange(19.0), {"honest": 9.0})
    why = reasons(metrics, labels, {"honest": 9.0})
    assert why["image_auroc"] == why["honest_false_positive_rate"] == "only 9 good test images"
    assert "honest_recall" not in why
    assert "honest_true_positives" not in why


BETTER = {"honest_balanced_accuracy": (0.6, 0.8)}


@pytest.mark.parametrize(
    ("good", "called", "flag"),
    [(60, 0, []), (60, 5, []), (60, 7, []), (60, 12, ["above"]), (60, 60, ["above"])],
)
def test_a_rate_other_than_the_threshold_lets_expect_is_flagged(
    good: int, called: int, flag: list[str]
):
    labels = np.repeat([0, 1], [good, 60])
    test = scored(labels, (np.arange(good + 60) < called).astype(float))
    # 2 of 59 held-out scores lie above it: between 1.1 and 11.7 % of new images may do so, too
    expected = promised(59) | {"above": 2.0, "expected": 0.05}
    assert flags(test, expected, BETTER, {}) == flag
    assert flags(test, expected | {"threshold": None}, BETTER, {}) == []


def test_a_threshold_stricter_than_it_lets_expect_is_flagged():
    labels = np.repeat([0, 1], [300, 60])
    expected = promised(300) | {"above": 14.0, "expected": 0.05}
    assert flags(scored(labels, labels * 0.5), expected, BETTER, {}) == ["below"]


def test_a_threshold_that_promises_at_most_a_rate_is_not_too_strict():
    labels = np.repeat([0, 1], [300, 60])
    expected = promised(300) | {"above": 14.0, "expected": 0.05, "at_most": True}
    assert flags(scored(labels, labels * 0.5), expected, BETTER, {}) == []


@pytest.mark.parametrize(
    ("alarms", "found", "useless"), [(0, 47, False), (18, 63, True), (2, 8, True), (19, 0, True)]
)
def test_a_threshold_is_useless_unless_it_clearly_finds_more_than_it_rejects(
    alarms: int, found: int, useless: bool
):
    labels = np.repeat([0, 1], [20, 63])
    called = np.concatenate([np.arange(20) < alarms, np.arange(63) < found])
    intervals = {
        f"honest_{name}": ends
        for name, ends in confusion_intervals(labels, called, alone(labels)).items()
    }
    expected = promised(18) | {"threshold": None}
    assert ("useless" in flags(scored(labels), expected, intervals, {})) is useless


def test_a_threshold_is_not_called_useless_by_a_figure_that_is_not_printed():
    test, expected = scored(np.repeat([0, 1], 9)), promised(9)
    few = ["estimate", "few_good", "few_defective"]
    poor = {"honest_balanced_accuracy": (0.5, 0.8)}
    assert flags(test, expected, poor, {}) == ["useless", *few]
    assert flags(test, expected, poor, {"honest_balanced_accuracy": "too few"}) == few


def test_metrics_carry_the_name_of_their_threshold():
    metrics = image_metrics(LABELS, np.array([1.0, 3, 2, 4]), {"oracle": 2, "honest": 3.5})
    assert (metrics["oracle_f1"], metrics["honest_f1"]) == (0.8, pytest.approx(2 / 3))
    assert (metrics["oracle_false_positive_rate"], metrics["honest_false_positive_rate"]) == (
        0.5,
        0,
    )
    assert metrics["trivial_f1"] == pytest.approx(2 / 3)


def test_defect_types_are_compared_with_the_good_images():
    defects = np.array(["good", "good", "dent", "scratch"])
    test = Scores(list("abcd"), LABELS, defects, alone(LABELS), np.array([1.0, 3, 2, 4]))
    rows = defect_metrics(test, 3, 42, "bottle")
    named = ("defect", "images", "image_auroc", "called_defective")
    assert [tuple(row[name] for name in named) for row in rows] == [
        ("dent", 1, 0.5, 0.0),
        ("good", 2, None, 0.5),
        ("scratch", 1, 1.0, 1.0),
    ]
    assert rows[1]["image_auroc_interval"] is None
    assert rows[2]["called_defective_interval"] == (pytest.approx(0.025), 1)
