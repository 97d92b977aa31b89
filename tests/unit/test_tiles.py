"""Tiles of a canvas: all of it is seen, their feature maps are joined without a seam."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from defectbench.errors import InputError
from defectbench.features.backbones import Backbone
from defectbench.features.extraction import Extractor
from defectbench.features.feature_file import Tap
from defectbench.features.tile_maps import joined
from defectbench.images.canvas import with_canvas
from defectbench.images.tiles import Tiling, tile_starts, tile_weights
from defectbench.scorers.largest_tile import LargestTile, TileRows, of_features
from defectbench.scorers.mahalanobis import Mahalanobis
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.scorers.patchcore import Patchcore


def tiled(height: int, width: int, size: int = 64, overlap: int = 32) -> dict[str, Any]:
    how = {"interpolation": "lanczos", "size": "original"}
    return with_canvas(how | {"tiles": {"size": size, "overlap": overlap}}, [(height, width)])


@pytest.mark.parametrize("length", [512, 544, 928, 960, 2048, 4096])
@pytest.mark.parametrize("overlap", [0, 64, 300, 511])
def test_tiles_cover_an_axis_and_overlap_as_asked(length: int, overlap: int):
    starts = tile_starts(length, 512, overlap, 32)
    assert starts[0] == 0
    assert starts[-1] == length - 512
    steps = np.diff(starts)
    assert all(start % 32 == 0 for start in starts)
    assert (steps > 0).all()
    assert (steps <= max(32, 512 - overlap)).all()


@pytest.mark.parametrize("starts", [(0,), (0, 24), (0, 10, 25), (0, 1, 2, 40)])
def test_weights_of_tiles_add_up_to_one_everywhere(starts: tuple[int, ...]):
    weights = tile_weights(starts, 32)
    total = np.zeros(starts[-1] + 32)
    for start, own in zip(starts, weights, strict=True):
        total[start : start + 32] += own
    covered = np.unique(np.concatenate([np.arange(start, start + 32) for start in starts]))
    np.testing.assert_allclose(total[covered], 1, atol=1e-6)
    assert (weights > 0).all()


def test_maps_of_tiles_that_agree_are_joined_to_the_map_they_were_cut_from():
    tiling = Tiling.of(tiled(160, 256))
    whole = np.random.default_rng(42).normal(size=(160, 256, 3)).astype(np.float32)
    tiles = torch.from_numpy(tiling.cut(whole)).permute(0, 3, 1, 2).split(1)
    found = joined(tiles, tiling, "layer")[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_positions_that_do_not_fall_on_each_other_are_refused():
    tiling = Tiling.of(tiled(96, 96))
    with pytest.raises(InputError, match="layer odd: has 5 positions along a tile of 64"):
        joined([torch.zeros(1, 1, 5, 5)] * len(tiling), tiling, "odd")


def extracted(
    network: torch.nn.Module, taps: list[Tap], how: dict[str, Any], images: list[np.ndarray]
) -> dict[str, np.ndarray]:
    made = Extractor(Backbone(network.eval(), (0.0,) * 3, (1.0,) * 3), taps, how)
    made.to(torch.device("cpu"), "fp32", threads=2)
    return made(images, [Path("image.png")] * len(images))


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 5, stride=4, padding=2),
        torch.nn.Conv2d(4, 6, 3, stride=2, padding=1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, shape, np.uint8)


def test_features_of_a_tiled_canvas_are_nearly_those_of_all_of_it_at_once(network):
    image = noise(160, 256, 3)
    taps = [Tap("0", 1), Tap("1", 2), Tap("3", 1)]
    found = extracted(network, taps, tiled(160, 256), [image, image[::-1]])
    whole = extracted(
        network, taps, {"interpolation": "lanczos", "size": [160, 256]}, [image, image[::-1]]
    )
    assert found["0/pool1"].shape == whole["0/pool1"].shape == (2, 4, 40, 64)
    assert found["1/pool2"].shape == whole["1/pool2"].shape == (2, 6, 10, 16)
    # what differs is the padding at the edges of tiles, where they count least
    np.testing.assert_allclose(found["0/pool1"], whole["0/pool1"], atol=0.1)
    assert np.corrcoef(found["1/pool2"].ravel(), whole["1/pool2"].ravel())[0, 1] > 0.98
    assert found["3/pool1"].shape == (2, len(Tiling.of(tiled(160, 256))), 6)


def test_tiled_features_do_not_depend_on_other_images(network):
    images, how, taps = list(noise(3, 96, 128, 3)), tiled(96, 128), [Tap("1", 1), Tap("3", 1)]
    together = extracted(network, taps, how, images)
    for number, image in enumerate(images):
        alone = extracted(network, taps, how, [image])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][number])


def test_a_part_of_the_canvas_is_seen_alone_and_its_border_goes_on(network):
    how = with_canvas(
        {"interpolation": "lanczos", "size": 128, "aspect": "keep"}, [(96, 128)] * 2 + [(96, 64)]
    )
    whole, narrow = noise(96, 128, 3), noise(96, 64, 3)
    taps = [Tap("0", 1), Tap("3", 1)]
    found = extracted(network, taps, how, [whole, narrow])
    square = {"interpolation": "lanczos", "size": [96, 64]}
    alone = extracted(network, taps, square, [narrow])
    np.testing.assert_array_equal(found["3/pool1"][1], alone["3/pool1"][0])
    own = found["0/pool1"][1]
    np.testing.assert_array_equal(own[:, :, 8:24], alone["0/pool1"][0])
    np.testing.assert_array_equal(own[:, :, :8], np.repeat(own[:, :, 8:9], 8, axis=2))
    np.testing.assert_array_equal(own[:, :, 24:], np.repeat(own[:, :, 23:24], 8, axis=2))


def test_a_defect_on_a_seam_is_one_region():
    generator = torch.Generator().manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 7, stride=8, padding=3))
    torch.nn.init.normal_(network[0].weight, std=0.01, generator=generator)
    rng, how = np.random.default_rng(5), tiled(160, 256)
    good = [rng.integers(100, 130, (160, 256, 3), np.uint8) for _ in range(12)]
    left = Tiling.of(how).lefts[1]
    bad = good[0].copy()
    bad[70:90, left - 10 : left + 40] = 255  # across the edges of two tiles
    X = extracted(network, [Tap("0", 1)], how, [*good, bad])["0/pool1"]
    scorer = Patchcore(coreset=0.2, map_size=256).fit(X[:12])
    scores, maps = scorer.score_and_map(X)
    assert scores[12] > scores[:12].max()
    _, regions = ndimage.label(maps[12] > 1.2 * maps[:12].max())
    assert regions == 1


@pytest.mark.parametrize("kind", [Mahalanobis, NearestNeighbour])
def test_an_image_scores_as_its_largest_tile_and_is_held_out_with_all_of_them(kind: type):
    rng = np.random.default_rng(42)
    X = rng.normal(size=(12, 5, 4))
    scorer = of_features(kind(), X)
    assert isinstance(scorer, LargestTile)
    scorer.fit(X)
    plain = kind().fit(X.reshape(-1, 4))
    new = rng.normal(size=(3, 5, 4))
    expected = plain.anomaly_score(new.reshape(-1, 4)).reshape(3, 5).max(axis=1)
    np.testing.assert_allclose(scorer.anomaly_score(new), expected)
    folds = [np.array([0, 3]), np.array([5])]
    (held,) = scorer.held_out(X, folds, maps=False)
    for row, score in zip(held.rows, held.scores, strict=True):
        fold = next(members for members in folds if row in members)
        rest = np.delete(X, fold, axis=0).reshape(-1, 4)
        refitted = kind().fit(rest).anomaly_score(X[row]).max()
        np.testing.assert_allclose(score, refitted, rtol=1e-6)


def test_rows_of_tiles_are_read_by_slices_as_from_one_array():
    X = np.random.default_rng(42).normal(size=(6, 5, 4))
    rows = TileRows(X)
    assert rows.shape == (30, 4)
    for start, stop in ((0, 30), (3, 4), (4, 21), (29, 30)):
        np.testing.assert_array_equal(rows[start:stop], X.reshape(-1, 4)[start:stop])
    np.testing.assert_array_equal(rows.take(np.array([7, 2])), X.reshape(-1, 4)[[7, 2]])
