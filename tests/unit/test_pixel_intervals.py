"""Intervals of pixel metrics: resampled images, and one that was not seen."""

import numpy as np
import pytest

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.pixel_intervals import (
    LevelCurves,
    background_costs,
    curve_levels,
    pixel_intervals,
    unseen_interval,
)
from defectbench.evaluation.pixel_metrics import pixel_metrics
from defectbench.evaluation.pixel_ranks import collect_pixels, rank_pixels

ImageSet = list[tuple[np.ndarray, np.ndarray | None]]

ALONE = np.full(10, "")
"""Groups of images that are each a group of their own."""


def noisy_images(shifts: list[float]) -> ImageSet:
    """Normal noise of 64×64; where the shift is not 0, a region of that much higher scores."""
    rng = np.random.default_rng(6)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 10:30] = mask[50:53, 50:53] = True
    noise = rng.normal(0, 1, (len(shifts), 64, 64))
    return [
        (m + shift * mask, mask if shift else None) for m, shift in zip(noise, shifts, strict=True)
    ]


def test_replicates_are_the_metrics_of_the_resampled_images() -> None:
    images = noisy_images([0, 0, 0, 1, 2, 0.5, 3])
    pixels = collect_pixels(images)
    curves = LevelCurves(pixels, curve_levels(pixels, rank_pixels(pixels)))
    times = np.array([2, 0, 1, 3, 0, 1, 0])
    repeated = [image for image, n in zip(images, times, strict=True) for _ in range(n)]
    expected = pixel_metrics(rank_pixels(collect_pixels(repeated)))
    replicates = curves.metrics(times[None], (0.3, 0.05))
    assert {name: values[0] for name, values in replicates.items()} == pytest.approx(
        expected, abs=1e-3
    )


@pytest.fixture
def small_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of it as a test needs."""
    monkeypatch.setattr("defectbench.evaluation.bootstrap.REPLICATES", 500)
    monkeypatch.setattr("defectbench.evaluation.pixel_intervals.LEVELS", 300)


@pytest.mark.usefixtures("small_bootstrap")
def test_intervals_hold_the_metrics_and_come_out_the_same_again() -> None:
    pixels = collect_pixels(noisy_images([0, 0, 0, 1, 2, 3, 1.5, 0.5, 2.5, 0.7]))
    ranked = rank_pixels(pixels)
    exact = pixel_metrics(ranked)
    intervals, error = pixel_intervals(pixels, ranked, exact, ALONE[:10], 42, "plate")
    assert 0 < error < 1e-3
    assert all(low < exact[name] < high for name, (low, high) in intervals.items())
    assert (intervals, error) == pixel_intervals(pixels, ranked, exact, ALONE[:10], 42, "plate")
    assert intervals != pixel_intervals(pixels, ranked, exact, ALONE[:10], 43, "plate")[0]


@pytest.mark.usefixtures("small_bootstrap")
@pytest.mark.parametrize("shifts", [[0, 1, 2], [0, 0, 1]])
def test_a_class_of_one_image_carries_no_interval(shifts: list[float]) -> None:
    pixels = collect_pixels(noisy_images(shifts))
    ranked = rank_pixels(pixels)
    exact = pixel_metrics(ranked)
    assert pixel_intervals(pixels, ranked, exact, ALONE[:3], 42, "plate")[0] == {}


def intervals_of(images: ImageSet, groups: np.ndarray) -> dict[str, tuple[float, float]]:
    pixels = collect_pixels(images)
    ranked = rank_pixels(pixels)
    return pixel_intervals(pixels, ranked, pixel_metrics(ranked), groups, 42, "plate")[0]


@pytest.mark.usefixtures("small_bootstrap")
def test_further_exposures_of_the_same_parts_narrow_no_interval() -> None:
    parts = noisy_images([0, 0, 0, 0, 1, 2, 0.5, 1.5])
    once = intervals_of(parts, ALONE[:8])
    of_exposures = np.array([f"part{k}" for k in range(8)] * 8)
    grouped = intervals_of(parts * 8, of_exposures)
    for name, interval in grouped.items():
        assert interval == pytest.approx(once[name], abs=0.01), name
    ungrouped = intervals_of(parts * 8, np.full(64, ""))
    assert np.diff(ungrouped["pixel_auroc"]) < 0.5 * np.diff(grouped["pixel_auroc"])


@pytest.mark.usefixtures("small_bootstrap")
@pytest.mark.parametrize("count", [3, 10, 60])
def test_of_perfect_maps_the_lower_limit_is_that_of_clopper_and_pearson(count: int) -> None:
    # every one of `count` hits: Clopper and Pearson, Biometrika 26, 1934
    mask = np.eye(4, dtype=bool)
    images = [(np.zeros((4, 4)), None)] * 20 + [(mask.astype(float), mask)] * count
    low, high = intervals_of(images, np.full(20 + count, ""))["pixel_auroc"]
    assert 1 - low == pytest.approx(1 - 0.025 ** (1 / count), rel=0.2)
    assert high == 1


def test_a_hot_good_image_lowers_what_other_images_may_do() -> None:
    images = noisy_images([0] * 10 + [3] * 10)
    hot = [(images[0][0] + 4, None), *images[1:]]
    groups = np.full(20, "")
    costs = []
    for of_images in (images, hot):
        pixels = collect_pixels(of_images)
        curves = LevelCurves(pixels, curve_levels(pixels, rank_pixels(pixels)))
        costs.append(background_costs(curves, group_numbers(groups), (0.3,)))
    # above all defects lie all pixels of the hot image, hardly any of the others, and 10 % at least
    assert costs[0]["aupro_0.3"] == pytest.approx(0.1 / 0.3, rel=0.05)
    assert costs[1]["pixel_auroc"] > 10 * costs[0]["pixel_auroc"]
    assert costs[1]["aupro_0.3"] > 3 * costs[0]["aupro_0.3"]


def test_an_unseen_image_widens_the_percentiles_by_its_weight_and_its_cost() -> None:
    replicates = np.full(1001, 0.8)
    weights = np.linspace(0, 1, 1001)
    assert unseen_interval(replicates, weights, np.zeros(1001)) == pytest.approx((0.02, 0.995))
    assert unseen_interval(replicates, 0 * weights, weights) == pytest.approx((0, 0.8))
