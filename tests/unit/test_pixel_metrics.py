"""Pixel metrics against their definitions, pixel by pixel."""

import numpy as np
import pytest
import torch

from defectbench.evaluation.map_geometry import pixel_threshold
from defectbench.evaluation.pixel_metrics import (
    defect_pixel_metrics,
    figures_at,
    pixel_metrics,
    pro_curve,
)
from defectbench.evaluation.pixel_ranks import collect_pixels, rank_pixels
from defectbench.evaluation.promises import Asked
from defectbench.scorers.grids import bilinear

ImageSet = list[tuple[np.ndarray, np.ndarray | None]]


def random_images(seed: int, levels: int, count: int = 4) -> ImageSet:
    """Small maps of a few score levels; regions touch at corners, some are single pixels."""
    rng = np.random.default_rng(seed)
    images: ImageSet = [(rng.integers(0, levels, (5, 7)).astype(np.float32), None)]
    for _ in range(count - 1):
        shape = tuple(rng.integers(4, 10, 2))
        mask = rng.random(shape) < 0.2
        scores = rng.integers(0, levels, shape) + rng.integers(0, 3, shape) * mask
        images.append((scores.astype(np.float32), mask))
    return images


def flood_regions(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Pixels joined by sides or corners, found by walking from neighbour to neighbour."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    regions = []
    while left:
        region, front = set(), [left.pop()]
        while front:
            row, column = front.pop()
            region.add((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            front += near
        regions.append(region)
    return regions


def curve_by_definition(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """False-positive rate and mean overlap at every threshold there is, from the highest down."""
    rates, overlaps = [0.0], [0.0]
    masks = [np.zeros(m.shape, bool) if mask is None else mask for m, mask in images]
    maps = [anomaly_map for anomaly_map, _ in images]
    for threshold in sorted({value for m in maps for value in m.flat}, reverse=True):
        good = [value >= threshold for m, k in zip(maps, masks, strict=True) for value in m[~k]]
        shares = [
            np.mean([m[pixel] >= threshold for pixel in region])
            for m, k in zip(maps, masks, strict=True)
            for region in flood_regions(k)
        ]
        rates.append(np.mean(good))
        overlaps.append(np.mean(shares))
    return np.array(rates), np.array(overlaps)


def area_by_definition(rates: np.ndarray, overlaps: np.ndarray, limit: float) -> float:
    """Trapezoids up to the limit, where the curve is cut, divided by the limit."""
    area = 0.0
    for k in range(1, len(rates)):
        x0, x1, y0, y1 = rates[k - 1], rates[k], overlaps[k - 1], overlaps[k]
        if x0 >= limit:
            break
        if x1 > limit:
            x1, y1 = limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


@pytest.mark.parametrize("levels", [1, 4, 30, 100_000])
@pytest.mark.parametrize("seed", range(5))
def test_aupro_is_the_area_of_its_definition(seed: int, levels: int) -> None:
    images = random_images(seed, levels)
    limits = (0.05, 0.3, 1.0)
    metrics = pixel_metrics(rank_pixels(collect_pixels(images)), limits)
    rates, overlaps = curve_by_definition(images)
    for limit in limits:
        expected = area_by_definition(rates, overlaps, limit)
        assert metrics[f"aupro_{limit:g}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [4, 100_000])
def test_the_curve_passes_through_the_points_of_its_definition(levels: int) -> None:
    images = random_images(1, levels)
    rates, overlaps = curve_by_definition(images)
    upper = np.array([overlaps[rates == rate].max() for rate in rates])
    ranked = rank_pixels(collect_pixels(images))
    np.testing.assert_allclose(pro_curve(ranked, rates), upper, atol=1e-12)
    flat = np.flatnonzero(np.diff(rates) > 0)
    middle = (rates[flat] + rates[flat + 1]) / 2
    between = (upper[flat] + overlaps[flat + 1]) / 2
    np.testing.assert_allclose(pro_curve(ranked, middle), between, atol=1e-12)


@pytest.mark.parametrize("levels", [4, 100_000])
def test_pixel_auroc_and_aupr_are_those_of_all_pixels_together(levels: int) -> None:
    images = random_images(2, levels)
    scores = np.concatenate([m.ravel() for m, _ in images])
    labels = np.concatenate([(np.zeros(m.shape) if k is None else k).ravel() for m, k in images])
    defective, good = scores[labels == 1], scores[labels == 0]
    wins = np.mean([(d > good) + (d == good) / 2 for d in defective])
    precisions = [(defective >= d).sum() / (scores >= d).sum() for d in defective]
    metrics = pixel_metrics(rank_pixels(collect_pixels(images)))
    assert metrics["pixel_auroc"] == pytest.approx(wins, abs=1e-12)
    assert metrics["pixel_aupr"] == pytest.approx(np.mean(precisions), abs=1e-12)


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    mask = np.eye(6, dtype=bool)
    assert len(collect_pixels([(np.ones((6, 6)), mask)]).region_size) == 1


def test_a_good_image_needs_no_mask_and_adds_background() -> None:
    images = random_images(3, 30)
    (first, _), *rest = images
    empty = collect_pixels([(first, np.zeros(first.shape, bool)), *rest])
    without = collect_pixels(images)
    assert pixel_metrics(rank_pixels(empty)) == pixel_metrics(rank_pixels(without))
    assert pixel_metrics(rank_pixels(without)) != pixel_metrics(rank_pixels(collect_pixels(rest)))


@pytest.mark.parametrize("mask", [None, np.ones((3, 4), bool)])
def test_without_both_classes_there_is_no_figure(mask: np.ndarray | None) -> None:
    metrics = pixel_metrics(rank_pixels(collect_pixels([(np.ones((3, 4)), mask)])))
    assert list(metrics) == ["pixel_auroc", "pixel_aupr", "aupro_0.3", "aupro_0.05"]
    assert set(metrics.values()) == {None}


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(score: float) -> None:
    with pytest.raises(ValueError, match="image 1 has scores that are not finite"):
        collect_pixels([(np.ones((2, 2)), None), (np.array([[0, score]]), None)])


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image 0: mask \(2, 3\), map \(3, 2\)"):
        collect_pixels([(np.ones((3, 2)), np.ones((2, 3), bool))])


def test_a_defect_type_is_measured_with_the_good_images_alone() -> None:
    images = random_images(4, 30)
    rows = defect_pixel_metrics(collect_pixels(images), np.array(["good", "dent", "cut", "dent"]))
    dents = collect_pixels([images[0], images[1], images[3]])
    assert [row["defect"] for row in rows] == ["cut", "dent"]
    assert rows[1] == {
        "defect": "dent",
        "images": 2,
        "regions": len(dents.region_size),
        **pixel_metrics(rank_pixels(dents)),
    }


@pytest.mark.parametrize("size", [(900, 900), (64, 48), (7, 5), (16, 12), (3, 100)])
def test_upsampling_is_that_of_torch(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(7).gamma(1, 50, (2, 16, 12)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[:, None], size=size, mode="bilinear", align_corners=False
    )
    ours = bilinear(maps, size)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected[:, 0].numpy(), rtol=1e-5, atol=1e-4)


def test_the_pixel_threshold_is_reached_by_the_asked_share_of_good_images() -> None:
    maps = np.random.default_rng(8).normal(size=(40, 6, 6))
    threshold = pixel_threshold(maps, np.full(40, ""), Asked(0.05))  # 2 of 41 with the next image
    assert (maps.max(axis=(1, 2)) >= threshold).sum() == 1
    assert (maps.max(axis=(1, 2)) >= np.nextafter(threshold, -np.inf)).sum() == 2


def test_figures_at_a_threshold_count_pixels_regions_and_images() -> None:
    scores = np.array([[9.0, 1.0, 5.0, 1.0, 1.0]])
    mask = np.array([[True, True, False, True, False]])
    pixels = collect_pixels([(scores, mask), (np.zeros((1, 2)), None), (np.full((1, 1), 5), None)])
    assert figures_at(pixels, 5.0) == {
        "pixel_false_positive_rate": 2 / 5,
        "mean_overlap": 1 / 4,
        "regions_found": 1 / 2,
        "good_images_marked": 1 / 2,
        "defective_images_marked": 1.0,
    }
