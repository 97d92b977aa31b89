"""Studies of training size and contamination, on features whose answers are known."""

from typing import Any

import numpy as np
import pytest
from tiles import tile_features

from defectbench.evaluation.held_out import rows_left, trim
from defectbench.scorers.base import Scorer
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.scorers.pca_kde import PcaKde
from defectbench.studies.levels import level
from defectbench.studies.results import Level, Settings
from defectbench.studies.training_set import (
    defective_images,
    effective_settings,
    nested_subsets,
    training_set_levels,
)
from defectbench.studies.trial import Category, trial

SETTINGS = Settings(0.05, "average", 5, 42)
ALONE = np.full(30, "")


class FromZero(Scorer):
    """The distance from 0, whatever it is fitted on: its figures can be worked out by hand."""

    def fit(self, X: np.ndarray) -> "FromZero":
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        return np.abs(X[:, 0]).astype(float)


def category(train: list[float], good: list[float], defective: list[float]) -> Category:
    values = np.array([*train, *good, *defective], np.float32)
    labels = np.repeat([0, 1], [len(train) + len(good), len(defective)])
    rows = np.arange(len(values))
    groups = np.full(len(values), "")
    train_rows, test_rows = np.split(rows, [len(train)])
    return Category(values[:, None], labels, groups, train_rows, test_rows, "made")


def blobs(shift: float, train: int = 60) -> Category:
    """Good images around 0, defective ones at a distance."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(train + 60, 8)).astype(np.float32)
    X[train + 30 :] += shift
    labels = np.repeat([0, 1], [train + 30, 30])
    rows = np.arange(len(X))
    return Category(X, labels, np.full(len(X), ""), rows[:train], rows[train:], "blobs")


def training_size(
    scorer: Scorer, studied: Category, settings: Settings = SETTINGS, **block: Any
) -> list[Level]:
    return training_set_levels("training_size", scorer, studied, block, settings, "")


def contamination(
    scorer: Scorer, studied: Category, settings: Settings = SETTINGS, **block: Any
) -> list[Level]:
    block = {"removed_from_test": True, "trimmed": 0.1} | block
    return training_set_levels("contamination", scorer, studied, block, settings, "")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_subset_holds_the_smaller_ones(seed: int):
    small, middle, large = nested_subsets(ALONE, [5, 10, 20], seed)
    assert (len(small), len(middle), len(large)) == (5, 10, 20)
    assert set(small) < set(middle) < set(large) <= set(range(30))


def test_groups_are_whole_in_every_subset():
    groups = np.array([f"part{row // 4}" for row in range(40)])
    subsets = nested_subsets(groups, [5, 8, 17], 42)
    assert [len(rows) for rows in subsets] == [8, 8, 20]
    for rows in subsets:
        assert {len(np.flatnonzero(groups[rows] == name)) for name in groups[rows]} == {4}


def test_subsets_depend_on_the_seed_alone():
    first, again, other = (nested_subsets(ALONE, [10], seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert set(first) != set(other)


def test_more_images_than_there_are_too_few_and_repeated_subsets_are_said():
    too_few, enough, too_many, everything = training_size(
        PcaKde(components=4), blobs(3), images=[3, 20, 500, "all"], repeats=3
    )
    assert "need at least 6 training images, there are 3" in too_few["reason"]
    assert too_few["image_auroc"] is None
    assert too_many["reason"] == "there are 60 training images"
    assert (len(enough["repeats"]), len(everything["repeats"])) == (3, 1)
    assert {repeat["images"] for repeat in enough["repeats"]} == {20}
    X, parts = tile_features(1, 12, 4)
    labels = np.repeat([0, 1], [44, 4])
    rows = np.arange(48)
    tiles = Category(X, labels, np.array(parts), rows[:32], rows[32:], "tiles")
    two, three, _ = training_size(NearestNeighbour(), tiles, images=[5, 7, 9], repeats=2)
    assert two["reason"] == "groups are whole: the same images as 7"
    assert three["images"] == 8


def test_all_images_give_what_the_benchmark_gives():
    studied = blobs(1)
    point = training_size(NearestNeighbour(), studied, images=["all"], repeats=5)[0]
    expected = trial(NearestNeighbour(), studied, studied.train, studied.test, SETTINGS)
    assert point["repeats"][0]["threshold"] == expected.verdict.threshold
    low, high = point["intervals"]["image_auroc"]
    assert low < point["image_auroc"] < high


def test_the_interval_widens_with_what_the_repeats_differ():
    studied = blobs(1)
    same = trial(NearestNeighbour(), studied, studied.train[:30], studied.test, SETTINGS).verdict
    alike = level({"level": 30}, 30, [same, same], 42)
    # the same, but that one of the repeats has all scores the wrong way round
    unlike = level({"level": 30}, 30, [same, same._replace(scores=-same.scores)], 42)
    widths = [np.ptp(each["intervals"]["image_auroc"]) for each in (alike, unlike)]
    assert widths[1] > 2 * widths[0]
    assert unlike["image_auroc"] == pytest.approx(0.5)


def test_a_share_is_that_of_the_training_set_with_the_defective_images_in_it():
    assert defective_images(80, 0.2) == 20
    assert defective_images(95, 0.05) == 5
    assert defective_images(95, 0) == 0


def test_trimming_leaves_out_the_highest_scores():
    scores = np.array([3.0, 9.0, 1.0, 7.0, 5.0])
    assert trim(scores, 0.4).tolist() == [0, 2, 4]
    assert trim(scores, 0.19).tolist() == [0, 1, 2, 3, 4]


def test_trimming_holds_groups_out_whole_so_that_no_part_vouches_for_itself():
    # three photographs of a bad part, each of which knows the two others
    X = np.concatenate([np.random.default_rng(0).normal(size=(27, 4)), np.full((3, 4), 9.0)])
    X[27:] += np.arange(3)[:, None] / 100
    parts = [f"part{row // 3}" for row in range(30)]
    left = rows_left(NearestNeighbour(), X, parts, 0.1, 5, 42)
    assert left.tolist() == list(range(27))
    assert not set(rows_left(NearestNeighbour(), X, [""] * 30, 0.1, 5, 42)) >= set(range(27))


def test_a_trimmed_method_is_the_remedy_of_the_contamination_study():
    studied = blobs(4)
    fitted_on = np.concatenate([studied.train, studied.test[-7:]])
    judged_on = studied.test[:-7]
    found = trial(NearestNeighbour(), studied, fitted_on, judged_on, SETTINGS._replace(trimmed=0.1))
    plain = trial(NearestNeighbour(), studied, fitted_on, judged_on, SETTINGS)
    left = plain.fitted_on[trim(plain.held_out_scores, 0.1)]
    again = trial(NearestNeighbour(), studied, left, judged_on, SETTINGS)
    assert found.fitted_on.tolist() == again.fitted_on.tolist()
    assert found.verdict.threshold == again.verdict.threshold < plain.verdict.threshold
    assert (found.verdict.scores == again.verdict.scores).all()


def test_contamination_trims_as_the_method_does_and_once():
    block = {"shares": [0.1], "trimmed": 0.1}
    trimming = SETTINGS._replace(trimmed=0.3)
    assert effective_settings("contamination", block, trimming) == (
        block | {"trimmed": 0.3},
        SETTINGS,
    )
    assert effective_settings("contamination", block, SETTINGS) == (block, SETTINGS)
    assert effective_settings("training_size", block, trimming) == (block, trimming)


def test_the_training_size_of_a_trimmed_method_counts_what_was_photographed():
    settings = SETTINGS._replace(trimmed=0.1)
    (point,) = training_size(NearestNeighbour(), blobs(1), settings, images=[20], repeats=2)
    assert point["images"] == 20
    assert {repeat["images"] for repeat in point["repeats"]} == {18}


def test_contamination_in_a_case_worked_out_by_hand():
    # 19 good training images at 1 to 19, defective ones at 100: one of them is 5 % of 20 images
    studied = category(list(range(1, 20)), [1.5, 18.5, 19.5, 101], [100, 100, 100])
    settings = SETTINGS._replace(false_positive_rate=0)
    block = {"shares": [0, 0.05], "repeats": 1, "removed_from_test": False, "trimmed": 0.05}
    found = contamination(FromZero(), studied, settings, **block)
    clean, _, contaminated, trimmed = found
    assert [each["images"] for each in found] == [19, 19, 20, 19]  # of 19, 5 % is no whole image
    # without false alarms: just above the highest held-out score, and that is the defective one's
    thresholds = [each["repeats"][0]["threshold"] for each in (clean, contaminated, trimmed)]
    assert thresholds == [np.nextafter(highest, np.inf) for highest in (19, 100, 19)]
    assert [each["recall"] for each in (clean, contaminated, trimmed)] == [1, 0, 1]
    rates = [each["false_positive_rate"] for each in (clean, contaminated, trimmed)]
    assert rates == [2 / 4, 1 / 4, 2 / 4]
    assert {each["image_auroc"] for each in found} == {9 / 12}


def test_removed_images_leave_the_test_set_at_every_share():
    studied = blobs(2)
    found = contamination(NearestNeighbour(), studied, shares=[0, 0.1, 0.2], repeats=2)
    plain = [each for each in found if each["variant"] == "plain"]
    assert [each["images"] for each in plain] == [60, 67, 75]
    block = {"shares": [0, 0.1], "repeats": 2, "removed_from_test": False}
    kept = contamination(NearestNeighbour(), studied, **block)
    # a defective image that the nearest neighbour knows scores 0: the test set is not new to it
    assert kept[2]["recall"] < plain[1]["recall"]


def test_draws_of_defective_parts_with_unequal_numbers_of_images_are_judged_apart():
    studied = blobs(2)
    studied.groups[90:] = ["x"] * 20 + ["y"] * 5 + ["z"] * 3 + ["v", "w"]
    found = contamination(NearestNeighbour(), studied, shares=[0, 0.1], repeats=5)
    assert [each["ranking"]["parts"] for each in found] == [[]] * 4
    assert all(0.5 < each["image_auroc"] <= 1 for each in found)


def test_a_share_that_would_leave_too_few_defective_images_says_so():
    found = contamination(NearestNeighbour(), blobs(2), shares=[0, 0.3], repeats=2)
    assert found[2]["reason"] == "needs 26 defective images; 20 of 30 can be spared"


def test_trimming_repairs_what_obvious_defects_spoil():
    found = contamination(NearestNeighbour(), blobs(4), shares=[0.1], repeats=3)
    plain, trimmed = found
    assert trimmed["recall"] > plain["recall"] + 0.1
