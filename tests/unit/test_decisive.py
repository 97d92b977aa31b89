"""Groups and images that look like no other or set a threshold alone; what it is without them."""

import numpy as np
import pytest

from defectbench.evaluation.decisive import decisive, decisive_figures
from defectbench.evaluation.promises import TOLERANCE, Asked, promise
from defectbench.evaluation.scoring import score_without_decisive
from defectbench.records import HeldOutScores, Scores
from defectbench.scorers.pca_fre import PcaFre

FIVE = Asked(0.05)


def random_scores(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=count)


def threshold(scores: np.ndarray, groups: list[str], asked: Asked = FIVE) -> float:
    return promise(scores, groups, asked)["threshold"]


def test_an_odd_group_is_named_with_the_threshold_without_it():
    scores = np.concatenate([random_scores(90), 20 + random_scores(10, 1)])
    groups = [f"module{row // 10}" for row in range(100)]
    found = decisive(scores, groups, FIVE)
    assert found.odd
    assert found.rows.tolist() == list(range(90, 100))
    assert found.threshold == threshold(scores[:90], groups[:90])


@pytest.mark.parametrize("odd", [[7], [7, 20], [7, 20, 33]])
def test_odd_images_without_a_group_are_named_together(odd: list[int]):
    scores = random_scores(59)
    scores[odd] = 30 - np.arange(len(odd))
    found = decisive(scores, [""] * 59, FIVE)
    assert (found.odd, found.rows.tolist()) == (True, odd)
    assert found.threshold == threshold(np.delete(scores, odd), [""] * (59 - len(odd)))


def test_a_group_that_is_not_odd_is_named_where_the_threshold_is_lowest_without_it():
    scores = np.concatenate([random_scores(90), 3.5 + random_scores(10, 1)])
    groups = [f"module{row // 10}" for row in range(100)]
    found = decisive(scores, groups, FIVE)
    assert (found.odd, found.rows.tolist()) == (False, list(range(90, 100)))
    without = [
        threshold(np.delete(scores, range(10 * n, 10 * n + 10)), groups[10:]) for n in range(10)
    ]
    assert found.threshold == min(without)
    middle = np.median(scores[:90])
    stretch = (threshold(scores, groups) - middle) / (found.threshold - middle)
    assert found.stretch == pytest.approx(stretch)


def test_what_the_rule_would_not_hold_without_is_not_left_out():
    scores = random_scores(59)
    scores[7] = 30
    tolerance = Asked(0.05, TOLERANCE)
    assert decisive(scores, [""] * 59, tolerance) is None  # it takes 59
    assert decisive(np.append(scores, 0), [""] * 60, tolerance).rows.tolist() == [7]


def test_an_odd_image_that_does_not_set_the_threshold_is_named_too():
    scores = random_scores(300)
    scores[5] = 100
    found = decisive(scores, [""] * 300, FIVE)
    assert (found.odd, found.rows.tolist()) == (True, [5])
    assert found.stretch < 1.1


def test_exchangeable_images_are_hardly_ever_odd():
    sets = [decisive(random_scores(40, seed), [""] * 40, FIVE) for seed in range(200)]
    assert sum(found.odd for found in sets) <= 10


def test_of_few_groups_any_one_sets_the_threshold_and_none_is_named():
    assert decisive(random_scores(8), [""] * 8, FIVE) is None
    assert decisive(np.empty(0), [], FIVE) is None


def images(scores: np.ndarray, groups: list[str]) -> HeldOutScores:
    paths = [f"train/good/{row:03}.png" for row in range(len(scores))]
    return HeldOutScores(paths, np.array(groups), np.arange(len(scores)), scores)


def test_figures_say_what_would_be_found_without_them_and_by_a_detector_fitted_without_them():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(26, 12))
    X_test = np.concatenate([rng.normal(size=(20, 12)), 3 * rng.normal(size=(20, 12))])
    groups = ["odd"] * 6 + [""] * 20
    scorer = PcaFre(variance=0.9).fit(X)
    held_out = np.r_[np.full(6, 1e4), random_scores(20)]
    found = score_without_decisive(scorer, X, X_test, groups, held_out, "auto", 42)
    assert found.left.tolist() == list(range(6, 26))
    np.testing.assert_array_equal(found.test, PcaFre(variance=0.9).fit(X[6:]).anomaly_score(X_test))
    labels = np.repeat([0, 1], 20)
    nowhere = np.full(40, "")
    test = Scores([str(row) for row in range(40)], labels, nowhere, nowhere, 50.0 * labels)
    kept = images(held_out, groups)
    without = {
        "left_out": kept.paths[:6],
        "groups": groups[6:],
        "held_out_scores": found.held_out.tolist(),
        "test_scores": found.test.tolist(),
    }
    figures = decisive_figures(test, kept, FIVE, without)
    assert (figures["names"], figures["images"], figures["odd"]) == (["odd"], 6, True)
    assert figures["paths"] == kept.paths[:6]
    assert (figures["found_rate"], figures["false_alarm_rate"]) == (1, 0)
    level = threshold(found.held_out, groups[6:])
    assert figures["fitted_without"] == {
        "threshold": level,
        "found_rate": (found.test[20:] >= level).mean(),
        "false_alarm_rate": (found.test[:20] >= level).mean(),
    }
    other = without | {"left_out": kept.paths[:5]}
    assert decisive_figures(test, kept, FIVE, other)["fitted_without"] is None


def test_nothing_is_told_where_the_next_ones_set_nearly_the_same_threshold():
    kept = images(np.linspace(1, 2, 50), [""] * 50)
    test = Scores(["a", "b"], np.array([0, 1]), np.full(2, ""), np.full(2, ""), np.array([1, 2.0]))
    assert decisive_figures(test, kept, FIVE, None) is None


def test_where_nothing_is_odd_nothing_is_fitted_again():
    X = np.random.default_rng(0).normal(size=(40, 5))
    assert score_without_decisive(PcaFre(), X, X, [""] * 40, random_scores(40), "auto", 42) is None


def test_a_detector_whose_folds_take_long_is_fitted_again_for_odd_images_alone():
    groups = [f"module{row // 3}" for row in range(30)]
    scores = np.concatenate([random_scores(27), 4.5 + random_scores(3, 1)])
    found = decisive(scores, groups, FIVE)
    assert found.telling
    assert not found.odd
    X = np.random.default_rng(0).normal(size=(30, 5))
    scorer = PcaFre()
    again = score_without_decisive(scorer, X, X, groups, scores, "auto", 42)
    assert again.left.tolist() == list(range(27))
    scorer.few_folds = True
    assert score_without_decisive(scorer, X, X, groups, scores, "auto", 42) is None
