"""Images that look alike and groups nobody named speak against held-out scores."""

import numpy as np
import pytest
from tiles import tile_features

from defectbench.errors import InputError
from defectbench.evaluation.held_out import folds, held_out
from defectbench.evaluation.held_out_check import CALIBRATION, check_held_out
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.scorers.base import Scorer
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_kde import PcaKde

SCORERS = [PcaKde(components=12), PcaFre(variance=0.97)]


def checked(X: np.ndarray, groups: list[str]) -> dict:
    return check_held_out(X, groups, [f"{row:03}.png" for row in range(len(groups))])


def test_exposures_of_one_tile_are_noticed_and_the_key_is_named():
    X, groups = tile_features(1, tiles=50, exposures=6)
    check = checked(X, [""] * len(groups))
    assert check["groups"] is None
    assert sorted(check["look_alikes"])[1] == [f"{row:03}.png" for row in range(6, 12)]
    (warning,) = check["warnings"]
    assert "set `groups` of the dataset" in warning


def test_the_last_layer_of_several_is_looked_at():
    X, _ = tile_features(1, tiles=20, exposures=3)
    other = np.random.default_rng(0).normal(size=(60, 8, 2, 2))
    assert len(checked([other, X], [""] * 60)["look_alikes"]) == 20
    assert checked([X, other], [""] * 60)["look_alikes"] == []


def test_of_named_groups_one_image_each_is_looked_at():
    X, groups = tile_features(1, tiles=20, exposures=6)
    assert checked(X, groups) == {"groups": 20, "look_alikes": [], "warnings": []}


def test_groups_that_are_named_too_finely_are_noticed():
    X, tiles = tile_features(1, tiles=20, exposures=6)
    exposures = [f"{tile}/{row // 2}" for row, tile in enumerate(tiles)]
    check = checked(X, exposures)
    assert (check["groups"], len(check["look_alikes"]), len(check["warnings"])) == (60, 20, 1)


def test_images_that_are_all_new_raise_no_warning():
    for seed in range(5):
        X, groups = tile_features(seed, tiles=60, exposures=1)
        assert checked(X, [""] * len(groups))["warnings"] == []


def test_a_single_group_is_cautioned_against():
    X, groups = tile_features(1, tiles=1, exposures=50)
    (warning,) = checked(X, groups)["warnings"]
    assert warning.startswith("all training images are of one group")


def test_calibration_images_are_cautioned_against_by_that_name():
    X, groups = tile_features(1, tiles=20, exposures=3)
    found = check_held_out(X, [""] * len(groups), [""] * len(groups), CALIBRATION)
    assert found["warnings"][0].startswith("calibration images lie in clusters")


def test_groups_that_leave_too_few_images_are_refused():
    X, groups = tile_features(1, tiles=2, exposures=13)
    scorer = PcaKde(components=12).fit(X)
    with pytest.raises(InputError, match=r"largest of 2 folds 13 training images .* needs 14"):
        held_out(scorer, X, folds(groups, 5, seed=42))


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
