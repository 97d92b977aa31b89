"""Folds hold every image once, and what belongs together is held out together."""

import numpy as np
import pytest

from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.held_out import contiguous_folds, folds, number_of_folds
from defectbench.scorers import scorer_class


def test_folds_hold_every_image_once_and_follow_the_seed():
    split = folds([""] * 23, 5, seed=42)
    assert sorted(np.concatenate(split).tolist()) == list(range(23))
    assert sorted(map(len, split)) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(split[0], folds([""] * 23, 5, seed=42)[0])
    assert (np.concatenate(split) != np.concatenate(folds([""] * 23, 5, seed=43))).any()
    assert len(folds([""] * 3, 5, seed=42)) == 3


def test_without_groups_the_folds_are_an_evenly_cut_permutation():
    shuffled = np.random.default_rng(42).permutation(11)
    for fold, expected in zip(folds([""] * 11, 2, 42), (shuffled[:6], shuffled[6:]), strict=True):
        np.testing.assert_array_equal(fold, np.sort(expected))


def test_groups_stay_whole_and_folds_nearly_equal():
    rng = np.random.default_rng(42)
    groups = [f"tile {number}" for number in range(50) for _ in range(rng.integers(1, 9))]
    split = folds(groups, 5, seed=42)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(groups)))
    held = [{groups[row] for row in fold} for fold in split]
    assert sum(map(len, held)) == 50
    assert max(map(len, split)) - min(map(len, split)) <= 1
    again, other = folds(groups, 5, seed=42), folds(groups, 5, seed=43)
    assert all((a == b).all() for a, b in zip(split, again, strict=True))
    assert {groups[row] for row in other[0]} != held[0]


def test_images_without_a_group_are_groups_of_their_own():
    groups = ["a", "", "a", "", "", "b"]
    assert independent_images(groups) == 5
    split = folds(groups, 3, seed=42)
    assert sorted(map(len, split)) == [2, 2, 2]
    assert [0, 2] in [fold.tolist() for fold in split]


def test_there_are_no_more_folds_than_groups():
    assert sorted(map(len, folds(["a"] * 4 + ["b"] * 3, 5, seed=42))) == [3, 4]


def test_a_single_group_is_cut_into_blocks_of_neighbours():
    split = folds(["a"] * 10, 3, seed=42)
    assert [fold.tolist() for fold in split] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize(("images", "sizes"), [(7, [3, 2, 2]), (2, [1, 1])])
def test_contiguous_folds_hold_neighbours(images: int, sizes: list[int]):
    split = contiguous_folds(images, 3)
    assert np.concatenate(split).tolist() == list(range(images))
    assert [len(fold) for fold in split] == sizes


@pytest.mark.parametrize(
    ("asked", "scorer", "images", "number"),
    [
        (7, "pca_fre", 400, 7),
        ("each", "pca_fre", 400, 400),
        ("auto", "pca_fre", 300, 300),
        ("auto", "pca_fre", 301, 20),
        ("auto", "patchcore", 100, 10),
        ("each", "patchcore", 100, 100),
        ("each", "tied_autoencoder", 100, 5),
        (3, "tied_autoencoder", 100, 3),
    ],
)
def test_the_number_of_folds_follows_what_a_fold_costs(
    asked: int | str, scorer: str, images: int, number: int
):
    assert number_of_folds(asked, scorer_class(scorer)(), [""] * images) == number


def test_of_a_union_of_selections_auto_means_few_folds():
    scorer = scorer_class("patchcore")(selection="folds")
    assert number_of_folds("auto", scorer, [""] * 100) == 10


def test_each_is_each_group():
    assert number_of_folds("each", scorer_class("pca_fre")(), ["a"] * 4 + ["b"] * 3 + [""]) == 3


@pytest.mark.parametrize(("images", "number"), [(50, 10), (3, 3)])
@pytest.mark.parametrize("asked", ["auto", "each"])
def test_of_a_single_group_blocks_are_held_out(asked: str, images: int, number: int):
    groups = ["one part"] * images
    found = number_of_folds(asked, scorer_class("pca_fre")(), groups)
    assert found == number
    assert [len(fold) for fold in folds(groups, found, 42)] == [images // number] * number
