"""Intervals of pixel metrics: images are resampled, for the pixels of one depend on each other."""

from collections.abc import Sequence

import numpy as np

from defectbench.evaluation.bootstrap import resamples, smaller_class
from defectbench.evaluation.intervals import percentile_interval
from defectbench.evaluation.pixel_metrics import LIMITS
from defectbench.evaluation.pixel_ranks import PixelScores, RankedPixels

LEVELS = 1000
"""Levels per criterion; between two neighbouring levels a resample's curve is taken as straight."""

BLOCK = 200


def pixel_intervals(
    pixels: PixelScores,
    ranked: RankedPixels,
    exact: dict[str, float | None],
    groups: np.ndarray,
    seed: int,
    category: str,
    limits: Sequence[float] = LIMITS,
) -> tuple[dict[str, tuple[float, float]], float]:
    """95 % intervals from the resampled test sets of `bootstrap.resamples`.

    The metrics themselves stay exact; replicates read them off curves through some 2,000 levels,
    which a matrix product gives for all of them at once.

    Parameters
    ----------
    pixels, ranked
        Of all images; images without a region are the good ones.
    exact
        The metrics of `ranked`.
    groups
        Of the images; an image in '' is a group of its own.
    seed, category
        What the resampling depends on.
    limits
        As for `pixel_metrics.pixel_metrics`.

    Returns
    -------
    intervals : dict of str to (float, float)
        By the metric's name; empty where a class has one image or group: no resampling varies it.
    error : float
        Largest difference between an exact metric and the same read off the levels.
    """
    curves = LevelCurves(pixels, curve_levels(pixels, ranked))
    of_levels = curves.metrics(np.ones((1, len(pixels.background)), np.int64), limits)
    error = max(abs(of_levels[name][0] - exact[name]) for name in exact)
    labels = curves.defective.astype(int)
    if smaller_class(labels, groups) < 2:
        return {}, float(error)
    blocks = [
        curves.metrics(times, limits) for times in resamples(labels, groups, seed, category, BLOCK)
    ]
    replicates = {name: np.concatenate([block[name] for block in blocks]) for name in exact}
    return {name: percentile_interval(values) for name, values in replicates.items()}, float(error)


class LevelCurves:
    """How many pixels of each image, and how much of its regions, are at or above each level."""

    def __init__(self, pixels: PixelScores, levels: np.ndarray) -> None:
        n_images, n_bins = len(pixels.background), len(levels) + 1
        self.background = np.array(
            [len(own) - np.searchsorted(own, levels, "left") for own in pixels.background], float
        )
        self.background_size = pixels.background.sizes
        self.regions = np.bincount(pixels.region_image, minlength=n_images)
        self.defective = self.regions > 0
        cell = pixels.region_image[pixels.region] * n_bins
        cell += np.searchsorted(levels, pixels.scores, "right")
        self.pixels = _not_below(cell, None, n_images, n_bins)
        self.overlap = _not_below(cell, 1 / pixels.region_size[pixels.region], n_images, n_bins)

    def metrics(self, times: np.ndarray, limits: Sequence[float]) -> dict[str, np.ndarray]:
        """Metrics of resamples, from how often each image came, (n_resamples, n_images)."""
        background = _curve(times @ self.background, times @ self.background_size)
        size = times @ self.pixels[:, 0]
        found = _curve(times @ self.pixels[:, 1:], size)
        overlap = _curve(times @ self.overlap[:, 1:], times @ self.overlap[:, 0])
        rate = background / background[:, -1:]
        recall = found / size[:, None]
        precision = np.divide(
            found, found + background, out=np.ones_like(found), where=found + background > 0
        )
        precision = (precision[:, 1:] + precision[:, :-1]) / 2
        overlap = overlap / (times @ self.regions)[:, None]
        return {
            "pixel_auroc": _area(rate, recall, 1),
            "pixel_aupr": (precision * np.diff(recall, axis=1)).sum(axis=1),
            **{f"aupro_{limit:g}": _area(rate, overlap, limit) / limit for limit in limits},
        }


def _not_below(
    cell: np.ndarray, weights: np.ndarray | None, n_images: int, n_bins: int
) -> np.ndarray:
    """Sum of weights per image in each bin and all higher ones."""
    bins = np.bincount(cell, weights, n_images * n_bins).reshape(n_images, n_bins)
    return bins[:, ::-1].cumsum(axis=1)[:, ::-1].astype(float)


def _curve(at_levels: np.ndarray, total: np.ndarray) -> np.ndarray:
    """From nothing, over the levels from the highest down, to everything."""
    return np.column_stack([np.zeros(len(total)), at_levels[:, ::-1], total])


def _area(x: np.ndarray, y: np.ndarray, limit: float) -> np.ndarray:
    """Area under polylines, one a row, up to a limit of x."""
    step = np.diff(x, axis=1)
    taken = np.clip(limit - x[:, :-1], 0, step)
    slope = np.divide(np.diff(y, axis=1), step, out=np.zeros_like(step), where=step > 0)
    return (taken * (y[:, :-1] + slope * taken / 2)).sum(axis=1)


def curve_levels(pixels: PixelScores, ranked: RankedPixels) -> np.ndarray:
    """Scores between which no curve gains much: in regions, in pixels, in false-positive rate."""
    last = len(pixels.scores) - 1
    overlap = np.cumsum(ranked.overlap)
    rates = np.geomspace(1e-6, 1, LEVELS)
    picked = np.concatenate(
        [
            np.searchsorted(overlap, np.linspace(0, overlap[-1], LEVELS)),
            np.linspace(0, last, LEVELS).astype(np.int64),
            last - np.searchsorted(ranked.above[::-1], rates),
        ]
    )
    return np.unique(pixels.scores[picked.clip(0, last)])
