"""Pixel AUROC, pixel average precision and AUPRO of simulated anomaly maps."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy import ndimage, special
from simulated import USED, Interval, Row, Tally, quicker

from defectbench.evaluation import pixel_intervals
from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.pixel_intervals import (
    LevelCurves,
    background_costs,
    curve_levels,
    curve_replicates,
    replicate_intervals,
)
from defectbench.evaluation.pixel_metrics import LIMITS, pixel_metrics
from defectbench.evaluation.pixel_ranks import PixelScores, collect_pixels, rank_pixels

REPLICATES, LEVELS = 200, 50
"""Of bootstrap and curves: fewer than the product takes, so that many sets can be simulated."""

SIDE = 16
"""Of a map, in pixels."""

MANY = 16_000
"""Images that the truth is measured on: two hundred times as many as a test set has."""

FIGURES = {
    "pixel_auroc": "pixel AUROC",
    "pixel_aupr": "pixel average precision",
    "aupro_0.3": "AUPRO to 0.3",
    "aupro_0.05": "AUPRO to 0.05",
}


class Sizes(NamedTuple):
    """Test images of each class, and how many of them show the same part."""

    good: int
    defective: int
    group_size: int = 1

    def __str__(self) -> str:
        if self.group_size == 1:
            return f"{self.good} good and {self.defective} defective"
        groups = [count // self.group_size for count in self[:2]]
        return "{} good and {} defective parts, {} images each".format(*groups, self.group_size)


class Effects(NamedTuple):
    """What differs from image to image, each (n_images,): noise has a variance of about 1."""

    offset: np.ndarray
    noise: np.ndarray
    contrast: np.ndarray


def _alike(offset: float, mean: float, spread: float, noise: float = 0.15) -> Callable:
    """Normal offsets and contrasts, lognormal noise."""
    return lambda a, b, c: Effects(offset * a, np.exp(noise * b), mean + spread * c)


KINDS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Effects]] = {
    "usual": _alike(0.4, 2.5, 1.0),
    "good images differ": _alike(0.9, 3.0, 0.5, noise=0.3),
    "skewed": lambda a, b, c: Effects(np.exp(0.8 * a) - 1, np.ones_like(b), np.exp(1 + 0.7 * c)),
    "near chance": _alike(0.4, 0.3, 0.8),
    "nearly perfect": _alike(0.3, 6.0, 1.0, noise=0.0),
    "perfect": _alike(0.1, 60.0, 0.0, noise=0.0),
    "1 defect in 20 missed": lambda a, b, c: Effects(
        0.3 * a, np.ones_like(b), np.where(special.ndtr(c) < 0.05, 0, 7.0)
    ),
    "1 image in 20 hot": lambda a, b, c: Effects(
        np.where(special.ndtr(a) < 0.05, 2.5, 0.3 * a), np.ones_like(b), 4 + 0.7 * c
    ),
}
"""What three standard normal numbers of each image make of it, by the name of a kind of maps."""

CASES = (
    (Sizes(20, 60), tuple(KINDS)),
    (Sizes(10, 10), ("usual", "skewed", "nearly perfect", "perfect", "1 defect in 20 missed")),
    (Sizes(60, 60), ("skewed",)),
    (Sizes(12, 30), ("1 image in 20 hot",)),
    (Sizes(3, 20), ("skewed", "1 image in 20 hot")),
    (Sizes(20, 3), ("usual", "nearly perfect", "1 defect in 20 missed")),
    (Sizes(80, 80, 8), ("good images differ", "1 defect in 20 missed")),
    (Sizes(20, 1), ("usual",)),
)
"""Numbers of images, and the kinds of maps that they are simulated with."""


def _shapes() -> np.ndarray:
    """Masks of one ellipse or two, of 3 to 100 pixels: bool, (400, side, side)."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((400, SIDE, SIDE), bool)
    for number, mask in enumerate(masks):
        for _ in range(2 if number % 4 == 0 else 1):
            y, x = rng.uniform(2, SIDE - 3, 2)
            height, width = np.exp(rng.normal(0.8, 0.45, 2))
            mask |= ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 <= 1
    return masks


MASKS = _shapes()
BLURRED = ndimage.gaussian_filter(MASKS.astype(float), (0, 0.6, 0.6))


class TestSet(NamedTuple):
    """Pixels of a test set, and the part that each image shows; '' where it is the only one."""

    pixels: PixelScores
    groups: np.ndarray


def draw(rng: np.random.Generator, kind: str, sizes: Sizes, alike: float = 0.9) -> TestSet:
    """Maps of white and of smooth noise with defects; images of a part are `alike`."""
    n_good, n_defective, group_size = sizes
    n = n_good + n_defective
    parts = np.arange(n) // group_size
    own, shared = rng.normal(size=(2, 3, n))
    if group_size > 1:
        own = alike**0.5 * shared[:, parts] + (1 - alike) ** 0.5 * own
    effects = KINDS[kind](*own)
    noise = 3.0 * ndimage.gaussian_filter(rng.normal(size=(n, SIDE, SIDE)), (0, 1.2, 1.2))
    noise += 0.7 * rng.normal(size=noise.shape)
    maps = effects.offset[:, None, None] + effects.noise[:, None, None] * noise
    shapes = rng.integers(0, len(MASKS), n)[parts][n_good:]
    marked = MASKS if kind == "perfect" else BLURRED
    maps[n_good:] += effects.contrast[n_good:, None, None] * marked[shapes]
    masks = [None] * n_good + list(MASKS[shapes])
    groups = parts.astype(str) if group_size > 1 else np.full(n, "")
    return TestSet(collect_pixels(zip(maps, masks, strict=True)), groups)


@cache
def truths(kind: str, share: float) -> dict[str, float | None]:
    """Metrics of very many images, of which a share is good."""
    of = Sizes(round(MANY * share), MANY - round(MANY * share))
    return pixel_metrics(rank_pixels(draw(np.random.default_rng(0), kind, of).pixels))


def intervals_of(test: TestSet, seed: int) -> dict[str, dict[str, Interval]]:
    """By method and metric."""
    curves = LevelCurves(test.pixels, curve_levels(test.pixels, rank_pixels(test.pixels)))
    replicates = curve_replicates(curves, test.groups, seed, "", LIMITS)
    costs = background_costs(curves, group_numbers(test.groups), LIMITS)
    return {
        "percentile bootstrap": {
            name: tuple(np.quantile(own, [0.025, 0.975])) for name, own in replicates.items()
        },
        USED: replicate_intervals(replicates, costs, curves.defective, test.groups, seed),
    }


def rows(trials: int) -> Iterator[Row]:
    """Of all figures here."""
    with quicker(REPLICATES), patch.object(pixel_intervals, "LEVELS", LEVELS):
        for sizes, kinds in CASES:
            for kind in kinds:
                yield from case_rows(kind, sizes, trials)


def case_rows(kind: str, sizes: Sizes, trials: int) -> Iterator[Row]:
    """Of one kind of maps and number of images."""
    share = sizes.good / (sizes.good + sizes.defective)
    tallies = {name: Tally(truth) for name, truth in truths(kind, share).items()}
    for seed in range(trials):
        found = intervals_of(draw(np.random.default_rng([seed, 1]), kind, sizes), seed)
        for name, tally in tallies.items():
            tally.add({method: own.get(name) for method, own in found.items()})
    for name, tally in tallies.items():
        yield from tally.rows(FIGURES[name], f"{tally.truth:.3f}, {kind}, {sizes}")
