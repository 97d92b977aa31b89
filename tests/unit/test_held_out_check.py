"""Near-duplicates and contiguous folds speak for groups; images that are all new do not."""

import numpy as np
import pytest
from tiles import tile_features

from defectbench.errors import InputError
from defectbench.evaluation import held_out_check
from defectbench.evaluation.held_out import folds, held_out
from defectbench.evaluation.held_out_check import FEWEST_IMAGES, check_held_out, near_duplicates
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.scorers import layers
from defectbench.scorers.base import Scorer
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_kde import PcaKde

SCORERS = [PcaKde(components=12), PcaFre(variance=0.97)]
RANDOM = np.random.default_rng(42)


def checked(scorer: Scorer, X: np.ndarray, groups: list[str]) -> dict:
    scorer.fit(X)
    split = folds(groups, 5, seed=42)
    return check_held_out(scorer, X, groups, held_out(scorer, X, split), split, seed=42)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_exposures_of_the_same_tiles_are_noticed_and_the_key_is_named(scorer: Scorer):
    X, groups = tile_features(1, tiles=50, exposures=6)
    check = checked(scorer, X, [""] * len(groups))
    assert check["near_duplicates"] > 0.9
    assert check["nearest_neighbour_ratio"] < 0.3
    assert check["contiguous_rate"] > 4 * check["shuffled_rate"]
    assert len(check["warnings"]) == 2
    assert all("set `groups` of the dataset" in warning for warning in check["warnings"])
    assert f"{check['contiguous_rate']:.0%} instead of 5%" in check["warnings"][1]


def test_exposures_that_are_not_neighbours_in_the_index_are_noticed_too():
    X, _ = tile_features(1, tiles=50, exposures=6)
    check = checked(PcaKde(components=12), RANDOM.permutation(X), [""] * len(X))
    assert len(check["warnings"]) == 1
    assert check["warnings"][0].startswith("100% of the training images have one neighbour")


def test_a_drift_from_one_block_of_images_to_the_next_is_noticed():
    X = tile_features(1, tiles=200, exposures=1)[0] + 60 * np.repeat(np.eye(5, 64), 40, axis=0)
    check = checked(PcaFre(variance=0.8), X.astype(np.float32), [""] * 200)
    assert [warning[:20] for warning in check["warnings"]] == ["held-out scores rise"]


def test_of_many_images_the_folds_at_the_ends_are_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held_out_check, "ENOUGH_IMAGES", 70)
    held: list[int] = []

    def counted(scorer: Scorer, X: np.ndarray, split: list[np.ndarray]) -> np.ndarray:
        held.append(len(split))
        return held_out(scorer, X, split)

    monkeypatch.setattr(held_out_check, "held_out", counted)
    X, _ = tile_features(1, tiles=200, exposures=1)
    X[160:, 3] += 60
    check = checked(PcaFre(variance=0.8), X, [""] * 200)
    assert held == [2]
    assert check["contiguous_rate"] >= 0.5
    assert [warning[:20] for warning in check["warnings"]] == ["held-out scores rise"]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_images_that_are_all_new_raise_no_warning(scorer: Scorer):
    # the rate of false alarms over many more sets: make bench-groups
    for seed in range(5):
        X, groups = tile_features(seed, tiles=60, exposures=1)
        assert checked(scorer, X, [""] * len(groups))["warnings"] == []


def test_with_groups_nothing_has_to_be_guessed():
    X, groups = tile_features(1, tiles=20, exposures=6)
    check = checked(PcaFre(variance=0.97), X, groups)
    assert (check["groups"], check["contiguous_rate"], check["warnings"]) == (20, None, [])


def test_a_single_group_is_cautioned_against():
    X, groups = tile_features(1, tiles=1, exposures=50)
    (warning,) = checked(PcaFre(variance=0.97), X, groups)["warnings"]
    assert warning.startswith("all training images are of one group")


def test_groups_that_leave_too_few_images_are_refused():
    X, groups = tile_features(1, tiles=2, exposures=13)
    with pytest.raises(InputError, match=r"largest of 2 folds 13 training images .* needs 14"):
        checked(PcaKde(components=12), X, groups)


def test_of_few_images_nothing_is_said():
    X, groups = tile_features(1, tiles=FEWEST_IMAGES - 1, exposures=1)
    check = checked(PcaFre(variance=0.97), X, [""] * len(groups))
    assert check["near_duplicates"] is None
    assert check["warnings"] == []


@pytest.mark.parametrize("dimensions", [1, 3, 50])
def test_near_duplicates_of_an_even_spread_are_one_in_a_hundred_at_most(dimensions: int):
    X = np.random.default_rng(1).uniform(size=(2000, dimensions))
    assert near_duplicates(X)[1] <= 0.02


def test_exact_copies_are_near_duplicates():
    X = np.repeat(RANDOM.normal(size=(100, 30)).astype(np.float32), 2, axis=0)
    assert near_duplicates(X)[1] == 1


@pytest.mark.parametrize(("block", "block_bytes"), [(1024, 1 << 27), (7, 1000), (1, 1)])
def test_neighbours_are_the_same_however_the_features_are_read(
    block: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    X = np.random.default_rng(2).normal(3, 1, (50, 4, 3, 2)).astype(np.float32)
    monkeypatch.setattr(held_out_check, "BLOCK", block)
    monkeypatch.setattr(layers, "BLOCK_BYTES", block_bytes)
    vectors = X.reshape(50, -1).astype(np.float64)
    all_pairs = np.sort(np.linalg.norm(vectors[:, None] - vectors, axis=2))
    found = held_out_check._neighbour_distances(X, 20)
    np.testing.assert_allclose(found, all_pairs[:, 1:21], rtol=1e-4)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_only_whole_groups_promise_the_rate_that_new_tiles_get(scorer: Scorer):
    X, groups = tile_features(1, tiles=50, exposures=6)
    new, _ = tile_features(2, tiles=200, exposures=1)
    scorer.fit(X)
    rates = {}
    for name, kept in (("shuffled", [""] * len(groups)), ("grouped", groups)):
        found = held_out(scorer, X, folds(kept, 5, seed=42))
        threshold = threshold_at_false_positive_rate(found, 0.05)
        rates[name] = (scorer.anomaly_score(new) >= threshold).mean()
    assert rates["shuffled"] > 0.2
    assert rates["grouped"] < 0.1
