"""PatchCore with a selection from each fold: its memory is their union, and is named so."""

from pathlib import Path

import numpy as np
import pytest
from specifications import specification

from defectbench import memory
from defectbench.errors import InputError
from defectbench.evaluation.cautions import approximations
from defectbench.evaluation.held_out import folds, held_out
from defectbench.evaluation.scoring import fit_and_score
from defectbench.map_file import create_maps
from defectbench.scorers import patch_memory, patches
from defectbench.scorers.base import refitted_folds
from defectbench.scorers.patch_memory import Needed, interleaved
from defectbench.scorers.patchcore import Patchcore

RNG = np.random.default_rng(42)
N_IMAGES = 48
X = RNG.normal(size=(N_IMAGES, 6, 4, 5)).astype(np.float32)
X[20:26] = X[3]  # images that are equal, in one fold and in several
X[30, :, 1:] = X[30, :, :1]
GROUPS = ["large"] * 30 + ["a", "a", "b", "b", "b", "c"] * 3
EVEN, UNEVEN = folds([""] * N_IMAGES, 5, seed=42), folds(GROUPS, 4, seed=42)
SPLITS = pytest.mark.parametrize("split", [EVEN, UNEVEN], ids=["even", "uneven"])


def union(**settings: object) -> Patchcore:
    return Patchcore(**{"selection": "folds", "map_size": 8, "coreset": 0.05} | settings)


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T)]


def alone(images: np.ndarray, coreset: float = 0.05) -> np.ndarray:
    """What a PatchCore keeps that is fitted on these images and knows no others."""
    return Patchcore(coreset=coreset).fit(X[images]).memory_


@SPLITS
@pytest.mark.parametrize("coreset", [0.05, 0.3, 1.0])
def test_the_memory_is_the_union_of_selections_from_each_fold(
    split: list[np.ndarray], coreset: float
):
    found = union(coreset=coreset).fit_for_folds(X, split).memory_
    expected = np.concatenate([alone(members, coreset) for members in split])
    np.testing.assert_array_equal(sorted_rows(found), sorted_rows(expected))


def test_what_each_fold_was_first_to_choose_comes_first():
    parts = [np.full((size, 2), number, np.float32) for number, size in enumerate((3, 1, 2))]
    for part in parts:
        part[:, 1] = range(len(part))
    rows, numbers = interleaved(parts)
    assert rows.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [2, 1], [0, 2]]
    assert numbers.tolist() == [0, 1, 2, 0, 2, 0]


def test_a_fold_of_which_the_share_is_no_patch_keeps_one():
    found = union(coreset=0.001).fit_for_folds(X, UNEVEN)
    assert len(found.memory_) == len(UNEVEN)
    assert len(union(coreset=0.001).fit_for_folds(X, EVEN).memory_) == len(EVEN)


@SPLITS
def test_held_out_images_are_judged_by_the_memory_of_all_other_folds(split: list[np.ndarray]):
    scorer, other = union().fit_for_folds(X, split), union()
    judged = scorer.held_out(X, split, maps=True)
    for number, (members, found) in enumerate(zip(split, judged, strict=True)):
        rest = [alone(each) for place, each in enumerate(split) if place != number]
        other.memory_ = interleaved(rest)[0]
        scores, maps = other.score_and_map(X[members])
        np.testing.assert_array_equal(found.rows, members)
        np.testing.assert_array_equal(found.scores, scores)
        np.testing.assert_array_equal(found.maps, maps)


def test_other_folds_have_selected_from_again_what_loses_images():
    scorer, other = union().fit_for_folds(X, EVEN), union()
    outside = np.sort(np.concatenate([EVEN[2], EVEN[0][:3]]))  # a fold and a part of another
    (found,) = scorer.held_out(X, [outside], maps=False)
    left = [np.setdiff1d(members, outside) for members in EVEN]
    other.memory_ = interleaved([alone(images) for images in left if len(images)])[0]
    np.testing.assert_array_equal(found.scores, other.anomaly_score(X[outside]))


def test_without_folds_there_is_one_selection():
    scorer = union().fit(X)
    assert scorer.analysis_ == "exact"
    np.testing.assert_array_equal(scorer.memory_, Patchcore(coreset=0.05).fit(X).memory_)


@SPLITS
def test_the_published_selection_does_not_know_of_folds(split: list[np.ndarray]):
    scorer = Patchcore(map_size=8).fit_for_folds(X, split)
    assert scorer.analysis_ == "exact"
    assert scorer.memory_.tobytes() == Patchcore().fit(X).memory_.tobytes()
    found = scorer.held_out(X, split, maps=True)
    for own, refit in zip(found, refitted_folds(scorer, X, split, maps=True), strict=True):
        np.testing.assert_array_equal(own.rows, refit.rows)
        np.testing.assert_array_equal(own.scores, refit.scores)
        np.testing.assert_array_equal(own.maps, refit.maps)


@pytest.mark.parametrize(("trimmed", "selections"), [(0.0, 4), (0.1, 8)])
def test_a_category_takes_one_selection_for_each_fold_of_each_fit(
    trimmed: float, selections: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []
    greedy = patch_memory.greedy_k_centres

    def counted(points: np.ndarray, number: int, start: int) -> np.ndarray:
        sizes.append(len(points))
        return greedy(points, number, start)

    monkeypatch.setattr(patch_memory, "greedy_k_centres", counted)
    scorer, settings = union(), ([""] * N_IMAGES, trimmed, 4, 42)
    with create_maps(tmp_path / "maps.h5", specification()) as maps:
        found = fit_and_score(scorer, X, X[:3], X[:0], *settings, maps)
    assert len(sizes) == selections
    assert max(sizes) <= N_IMAGES // 4 * 20
    kept = X[found.left]
    again = union().fit_for_folds(kept, found.folds)
    np.testing.assert_array_equal(found.held_out, held_out(again, kept, found.folds))


@pytest.mark.parametrize("selection", ["all", "folds"])
def test_it_is_the_same_whether_patches_stay_in_memory_or_are_made_again(
    selection: str, monkeypatch: pytest.MonkeyPatch
):
    several = [X, RNG.normal(size=(N_IMAGES, 3, 2, 3)).astype(np.float32)]
    found = []
    for most in (1 << 30, 0):
        monkeypatch.setattr(patches, "KEPT_BYTES", most)
        scorer = union(selection=selection).fit_for_folds(several, EVEN)
        scores = [each.scores for each in scorer.held_out(several, EVEN, maps=False)]
        found.append((scorer.memory_.tobytes(), np.concatenate(scores).tobytes()))
    assert found[0] == found[1]


def test_the_memory_is_called_what_it_is():
    scorer = union().fit_for_folds(X, EVEN)
    assert scorer.analysis_ == "union of selections"
    assert approximations(scorer.analysis_, "patchcore resnet18") == [
        "the memory of patchcore resnet18 is a union of selections, one from the images of each "
        "fold, and not the published selection from all images"
    ]


def test_folds_that_fit_in_memory_are_not_refused_for_all_images(monkeypatch: pytest.MonkeyPatch):
    X = np.random.default_rng(1).normal(size=(400, 16, 16, 16)).astype(np.float32)
    split = folds([""] * len(X), 20, seed=42)
    scorer = union(coreset=0.001)
    least = Needed([X.shape], 0.001, True, 20).bytes()
    assert least < scorer.fit_bytes([X.shape])
    monkeypatch.setattr(memory, "memory_limit", lambda: least)
    with pytest.raises(InputError, match="GB of memory are needed"):
        scorer.fit(X)
    assert len(scorer.fit_for_folds(X, split).memory_) == 20 * int(0.001 * 20 * 256)
