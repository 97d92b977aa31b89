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

from defectbench.evaluation import (
    Confusion,
    average_precision,
    confusion_at,
    image_auroc,
    oracle_threshold,
)

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
