"""Pixel figures that read the background in parts are those of all pixels in memory, bit for bit.

Here every count is a comparison of each pixel with each other one, over whole arrays.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from defectbench.errors import InputError
from defectbench.evaluation import map_geometry, pixel_figures, pixel_ranks
from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.pixel_intervals import (
    LevelCurves,
    background_costs,
    curve_levels,
    curve_replicates,
    replicate_intervals,
)
from defectbench.evaluation.pixel_metrics import CURVE_RATES, LIMITS, pixel_metrics, pro_curve
from defectbench.evaluation.pixel_ranks import RankedPixels, collect_pixels, rank_pixels
from defectbench.evaluation.promises import Asked
from defectbench.images.index import IndexRow
from defectbench.images.mask_pixels import read_mask
from defectbench.scorers.grids import bilinear

SEED, CATEGORY = 42, "plate"


class WholeArrays:
    """All pixels of some images in memory, defective ones by ascending score."""

    def __init__(self, maps: list[np.ndarray], masks: list[np.ndarray | None]) -> None:
        kept = [
            np.zeros(m.shape, bool) if k is None else k for m, k in zip(maps, masks, strict=True)
        ]
        self.background = [m[~k] for m, k in zip(maps, kept, strict=True)]
        labelled = [ndimage.label(k, np.ones((3, 3)))[0] for k in kept]
        counts = [of_image.max() for of_image in labelled]
        first = np.cumsum([0, *counts])
        region = np.concatenate(
            [
                of_image[k] - 1 + start
                for of_image, k, start in zip(labelled, kept, first[:-1], strict=True)
            ]
        )
        scores = np.concatenate([m[k] for m, k in zip(maps, kept, strict=True)])
        order = np.argsort(scores, kind="stable")
        self.scores, self.region = scores[order], region[order]
        self.region_size = np.bincount(region, minlength=first[-1])
        self.region_image = np.repeat(np.arange(len(maps)), counts)

    def ranked(self) -> RankedPixels | None:
        background = np.concatenate(self.background)
        if not len(background) or not len(self.scores):
            return None
        own = self.scores[:, None]
        return RankedPixels(
            (background > own).sum(axis=1) / len(background),
            (background >= own).sum(axis=1) / len(background),
            (self.scores >= own).sum(axis=1),
            1 / (self.region_size[self.region] * len(self.region_size)),
            len(background),
        )

    def level_curves(self, levels: np.ndarray) -> LevelCurves:
        curves = object.__new__(LevelCurves)
        n_images = len(self.background)
        own_image = self.region_image[self.region] == np.arange(n_images)[:, None]
        bins = (levels <= self.scores[:, None]).sum(axis=1)
        reached = bins[:, None] >= np.arange(len(levels) + 1)
        curves.background = np.array(
            [(own[:, None] >= levels).sum(axis=0) for own in self.background], float
        )
        curves.background_size = np.array([len(own) for own in self.background])
        curves.regions = np.bincount(self.region_image, minlength=n_images)
        curves.defective = curves.regions > 0
        curves.pixels = (own_image[:, :, None] & reached).sum(axis=1).astype(float)
        share = 1 / self.region_size[self.region]
        in_bins = [np.bincount(bins, share * own, len(levels) + 1) for own in own_image]
        curves.overlap = np.array(in_bins)[:, ::-1].cumsum(axis=1)[:, ::-1]
        return curves

    def intervals(self, groups: np.ndarray) -> dict[str, tuple[float, float]]:
        curves = self.level_curves(curve_levels(self, self.ranked()))
        replicates = curve_replicates(curves, groups, SEED, CATEGORY, LIMITS)
        costs = background_costs(curves, group_numbers(groups), LIMITS)
        return replicate_intervals(replicates, costs, curves.defective, groups, SEED)

    def at(self, threshold: float) -> dict[str, float]:
        n_images, n_regions = len(self.background), len(self.region_size)
        marked = np.bincount(self.region[self.scores >= threshold], minlength=n_regions)
        found = np.array([(own >= threshold).any() for own in self.background])
        found[self.region_image[marked > 0]] = True
        defective = np.isin(np.arange(n_images), self.region_image)
        return {
            "honest_pixel_false_positive_rate": (
                np.concatenate(self.background) >= threshold
            ).mean(),
            "honest_mean_overlap": (marked / self.region_size).sum() / n_regions,
            "honest_regions_found": (marked > 0).mean(),
            "honest_good_images_marked": found[~defective].mean(),
            "honest_defective_images_marked": found[defective].mean(),
        }


class Category:
    """Test images with masks on disk, and their maps, which have other sizes than the images."""

    def __init__(self, folder: Path, draw: Callable[[np.random.Generator], np.ndarray]) -> None:
        rng = np.random.default_rng(9)
        self.folder, self.rows, maps = folder, [], []
        defects = ["cut", "dent", "good", "dent", "spot", "good", "cut", "good", "unmarked", "spot"]
        for number, defect in enumerate(defects):
            width, height = (int(side) for side in rng.integers(6, 17, 2))
            mask = f"{number}.png" if defect not in ("good", "unmarked") else ""
            anomaly_map = draw(rng)
            if mask:
                marked = rng.random((height, width)) < 0.15
                if defect == "spot":  # masks of one pixel
                    marked = np.zeros((height, width), bool)
                    marked[height // 2, width // 3] = True
                Image.fromarray(marked).save(folder / mask)
            label, group = int(defect != "good"), "pair" if number in (0, 6) else ""
            self.rows.append(
                IndexRow(f"{number}", "test", label, defect, mask, width, height, group=group)
            )
            maps.append(anomaly_map)
        self.maps = np.stack(maps)

    def figures(self, resolution: int | str, threshold: float) -> dict[str, Any]:
        settings = (resolution, {}, threshold, SEED, CATEGORY, self.folder)
        return pixel_figures.pixel_figures(self.rows, self.maps, self.folder, *settings)

    def whole(self, resolution: int | str, defects: set[str]) -> WholeArrays:
        """The images that have a mask or need none, of the types asked for and the good ones."""
        maps, masks = [], []
        for row, anomaly_map in zip(self.rows, self.maps, strict=True):
            if row.defect in defects | {"good"} and (row.mask or not row.label):
                side = None if resolution == "original" else resolution
                size = (side, side) if side else (row.height, row.width)
                file = self.folder / row.mask
                maps.append(bilinear(anomaly_map, size))
                masks.append(read_mask(file, row.width, row.height, side) if row.mask else None)
        return WholeArrays(maps, masks)

    def groups(self) -> np.ndarray:
        return np.array([row.group for row in self.rows if row.mask or not row.label])


SCORES = {
    "few levels": lambda rng: rng.integers(0, 3, (4, 5)).astype(np.float32),
    "constant": lambda rng: np.full((4, 5), 2, np.float32),
    "hardly a tie": lambda rng: rng.gamma(2, 1, (4, 5)).astype(np.float32),
    "float64": lambda rng: rng.gamma(2, 1, (4, 5)),
}
TYPES = ("cut", "dent", "spot")


@pytest.mark.parametrize("piece", [1, 10, 137, 1 << 24])
@pytest.mark.parametrize("resolution", ["original", 9])
@pytest.mark.parametrize("scores", SCORES)
def test_every_figure_is_that_of_whole_arrays(
    scores: str, resolution: int | str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pixel_ranks, "PIECE", piece)
    category = Category(tmp_path, SCORES[scores])
    threshold = float(np.median(category.maps))
    found = category.figures(resolution, threshold)
    whole = category.whole(resolution, set(TYPES))
    assert found["metrics"] == pixel_metrics(whole.ranked()) | whole.at(threshold)
    assert found["intervals"] == whole.intervals(category.groups())
    assert found["curve"]["overlap"] == pro_curve(whole.ranked(), CURVE_RATES).round(6).tolist()
    for row, defect in zip(found["defects"], TYPES, strict=True):
        own = category.whole(resolution, {defect})
        counts = {"defect": defect, "images": 2, "regions": len(own.region_size)}
        assert row == counts | pixel_metrics(own.ranked())


def test_the_ranks_themselves_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(3)
    images = [(rng.integers(0, 40, (30, 30)).astype(np.float32), rng.random((30, 30)) < 0.1)]
    images += [(rng.integers(0, 50, (25, 41)).astype(np.float32), None) for _ in range(4)]
    expected = vars(WholeArrays(*zip(*images, strict=True)).ranked())
    for piece in (1, 2, 97, 4000, 1 << 24):
        monkeypatch.setattr(pixel_ranks, "PIECE", piece)
        found = vars(rank_pixels(collect_pixels(images)))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_a_piece_holds_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch):
    images = [(np.random.default_rng(n).normal(size=(20, 20)), None) for n in range(6)]
    background = collect_pixels(images).background
    monkeypatch.setattr(pixel_ranks, "PIECE", 700)
    starts, stops = np.full(6, 3), np.full(6, 390)
    pieces = [piece.copy() for piece in pixel_ranks._pieces(background, starts, stops)]
    assert [len(piece) for piece in pieces] == [700, 700, 700, 222]
    assert all((np.diff(piece) >= 0).all() for piece in pieces)
    expected = np.sort(np.concatenate([np.sort(m, axis=None)[3:390] for m, _ in images]))
    np.testing.assert_array_equal(np.sort(np.concatenate(pieces)), expected)


def test_without_defective_images_there_is_no_figure(tmp_path: Path):
    category = Category(tmp_path, SCORES["few levels"])
    good = [row.defect == "good" for row in category.rows]
    category.maps = category.maps[good]
    category.rows = [row for row in category.rows if row.defect == "good"]
    found = category.figures("original", 1.0)
    assert set(found["metrics"].values()) == {None}
    assert (found["intervals"], found["reason"]) == ({}, "no defective image has a mask")


def test_without_background_there_is_no_figure(tmp_path: Path):
    category = Category(tmp_path, SCORES["few levels"])
    Image.new("1", (6, 4), 1).save(tmp_path / "all.png")
    category.rows = [IndexRow("a", "test", 1, "dent", "all.png", 6, 4)]
    category.maps = category.maps[:1]
    found = category.figures("original", 1.0)
    assert set(found["metrics"].values()) == {None}
    assert found["reason"] == "no pixel is free of defects"


def open_files(folder: Path) -> list[str]:
    """Files below a folder that this process holds, those without a name too."""
    held = []
    for number in os.listdir("/proc/self/fd"):
        link = Path("/proc/self/fd", number)
        if link.is_symlink() and os.readlink(link).startswith(str(folder)):
            held.append(os.readlink(link))
    return held


def test_what_waits_on_disk_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    category, seen = Category(tmp_path, SCORES["few levels"]), []
    before = sorted(tmp_path.iterdir())

    def looking(pixels: pixel_ranks.PixelScores) -> RankedPixels | None:
        seen.append((len(open_files(tmp_path)), sorted(tmp_path.iterdir())))
        return rank_pixels(pixels)

    monkeypatch.setattr(pixel_figures, "rank_pixels", looking)
    category.figures("original", 1.0)
    assert seen == [(1, before)]  # open, but without a name that a kill could leave
    assert open_files(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


def test_what_waits_on_disk_is_gone_after_an_error(tmp_path: Path):
    category = Category(tmp_path, SCORES["few levels"])
    (tmp_path / "6.png").write_bytes(b"no image")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"6\.png: cannot be read as a mask") as caught:
        category.figures("original", 1.0)
    del caught  # whose traceback holds what the function held
    assert open_files(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("map_bytes", [1, 4000, 1 << 27])
@pytest.mark.parametrize("sampled", [1, 3, 50])
@pytest.mark.parametrize("n_images", [1, 8, 41])
@pytest.mark.parametrize("levels", [1, 2, 5, 100_000])
def test_median_and_threshold_are_numpys_whatever_the_blocks(
    levels: int,
    n_images: int,
    sampled: int,
    map_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(map_geometry, "MAP_BYTES", map_bytes)
    monkeypatch.setattr(map_geometry, "SAMPLED", sampled)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shape = (n_images, *rng.integers(1, 20, 2))
        maps = rng.integers(0, levels, shape).astype(np.float32)
        scale = map_geometry.map_scale(maps, np.full(n_images, ""), Asked(0.05))
        assert scale.typical == float(np.median(maps))
        maxima = np.sort(maps.reshape(n_images, -1).max(axis=1).astype(np.float64))[::-1]
        above = max(0, int(0.05 * (n_images + 1) + 1e-9) - 1)
        assert scale.threshold == np.nextafter(maxima[above], np.inf)


def test_the_median_of_ordered_maps_is_found_too(monkeypatch: pytest.MonkeyPatch):
    """Blocks that share no value leave the bounds the most room for a mistake."""
    monkeypatch.setattr(map_geometry, "MAP_BYTES", 4 * 100)
    monkeypatch.setattr(map_geometry, "SAMPLED", 7)
    for size in range(1, 40):
        maps = np.arange(size * 25, dtype=np.float32).reshape(size, 5, 5)
        assert map_geometry.median(maps) == float(np.median(maps))
        assert map_geometry.median(maps[::-1]) == float(np.median(maps))
