"""Metrics equal scikit-learn's and hand-computed values, ties and single classes included."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)

from defectbench.evaluation import image_metrics as of_images
from defectbench.evaluation import resampling
from defectbench.evaluation.image_metrics import (
    Confusion,
    average_precision,
    confusion_at,
    defect_metrics,
    image_auroc,
    image_metrics,
    rank_errors,
    trivial_f1,
)
from defectbench.evaluation.resampling import bootstrap_replicates, percentile_interval
from defectbench.evaluation.thresholds import oracle_threshold, threshold_at_false_positive_rate

LABELS = np.array([0, 0, 1, 1])


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


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_leaves_ranking_metrics_undefined(label: int):
    labels, scores = np.full(3, label), np.array([1.0, 2, 3])
    assert image_auroc(labels, scores) is None
    assert average_precision(labels, scores) is None
    confusion = confusion_at(labels, scores, oracle_threshold(labels, scores))
    assert confusion.balanced_accuracy is None
    assert confusion.f1 == label


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


def test_ties_at_the_threshold_are_not_called_defective():
    held_out = np.array([1.0, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    assert (held_out >= threshold_at_false_positive_rate(held_out, 0.5)).sum() == 0


def test_everything_is_defective_by_hand():
    assert trivial_f1(np.array([0, 1, 1, 1])) == pytest.approx(6 / 7)
    assert trivial_f1(np.zeros(3)) == 0


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
    replicates = bootstrap_replicates(np.array([0, 0, 1]), np.array([1.0, 3, 2]), 42, "bottle")
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
    found = resampling._replicate_block(labels, order, ties, 6, np.random.default_rng(1))
    same = np.random.default_rng(1)
    times = np.zeros((6, 50), int)
    for label in (0, 1):
        (members,) = np.nonzero(labels == label)
        times[:, members] = same.multinomial(len(members), [1 / len(members)] * len(members), 6)
    for row, auroc, aupr in zip(times, *found, strict=True):
        resampled = np.repeat(labels, row), np.repeat(scores, row)
        assert auroc == pytest.approx(roc_auc_score(*resampled), abs=1e-12)
        assert aupr == pytest.approx(average_precision_score(*resampled), abs=1e-12)


def test_replicates_are_the_same_images_for_every_detector_of_a_category():
    rng = np.random.default_rng(42)
    labels, scores = rng.integers(0, 2, 60), rng.normal(size=60)
    first = bootstrap_replicates(labels, scores, 42, "bottle")["image_auroc"]
    shifted = bootstrap_replicates(labels, scores * 2 + 1, 42, "bottle")["image_auroc"]
    np.testing.assert_array_equal(first, shifted)
    assert (first != bootstrap_replicates(labels, scores, 42, "cable")["image_auroc"]).any()
    assert (first != bootstrap_replicates(labels, scores, 43, "bottle")["image_auroc"]).any()


def test_large_test_sets_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(42)
    labels, scores = rng.integers(0, 2, 40), rng.normal(size=40)
    monkeypatch.setattr(resampling, "REPLICATE_BLOCK", 40 * 300)
    replicates = bootstrap_replicates(labels, scores, 42, "bottle")
    assert {array.shape for array in replicates.values()} == {(resampling.REPLICATES,)}


def test_interval_holds_the_middle_95_percent():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_interval_covers_the_truth_as_often_as_it_says():
    # AUROC of N(1, 1) against N(0, 1) is Φ(1/√2)
    rng, truth, covered = np.random.default_rng(42), 0.7602499, 0
    labels = np.repeat([0, 1], 60)
    for trial in range(100):
        scores = rng.normal(size=120) + labels
        replicates = bootstrap_replicates(labels, scores, trial, "bottle")["image_auroc"]
        low, high = percentile_interval(replicates)
        covered += low <= truth <= high
    assert 88 <= covered <= 99


def test_one_class_has_no_replicates():
    assert bootstrap_replicates(np.ones(3), np.arange(3.0), 42, "bottle") == {}


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
    assert defect_metrics(LABELS, np.array([1.0, 3, 2, 4]), defects, 3) == [
        {"defect": "dent", "images": 1, "image_auroc": 0.5, "called_defective": 0.0},
        {"defect": "good", "images": 2, "image_auroc": None, "called_defective": 0.5},
        {"defect": "scratch", "images": 1, "image_auroc": 1.0, "called_defective": 1.0},
    ]
