"""Intervals of pixel metrics: images are resampled, for the pixels of one depend on each other.

`tests/bench/coverage/pixels.py` measures how often they hold the truth: reports/coverage.md.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from defectbench.evaluation.bootstrap import (
    group_numbers,
    independent_images,
    resamples,
    smaller_class,
)
from defectbench.evaluation.pixel_metrics import LIMITS
from defectbench.evaluation.pixel_ranks import PixelScores, RankedPixels
from defectbench.evaluation.rates import LEVEL, Interval

LEVELS = 1000
"""Levels per criterion; between two neighbouring levels a resample's curve is taken as straight."""

BLOCK = 200

TAIL = (1 - LEVEL) / 2

FEWEST = 2
"""Independent images of a class below which there is no interval: no resampling varies one."""

WORSE = 2.0
"""How many times as much as the worst background seen an unseen one may take from a metric.

Chosen by simulation: with 1, average precision loses coverage where a few images are much hotter
than the others, and no larger one is needed."""

HOT = 0.1
"""Share of an unseen background that may lie above all defects, even if none was seen to.

Chosen likewise: with half as much, AUPRO to 0.05 holds in 91 of 100 simulations of 12 good and 30
defective images where one image in twenty is hot, and those seen need not show one."""


def pixel_intervals(
    pixels: PixelScores,
    ranked: RankedPixels,
    exact: dict[str, float | None],
    groups: np.ndarray,
    seed: int,
    category: str,
    limits: Sequence[float] = LIMITS,
) -> tuple[dict[str, Interval], float]:
    """95 % intervals from the resampled test sets of `bootstrap.resamples`, and one image unseen.

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
        By the metric's name; empty where a class has fewer than `FEWEST` independent images.
    error : float
        Largest difference between an exact metric and the same read off the levels.
    """
    curves = LevelCurves(pixels, curve_levels(pixels, ranked))
    of_levels = curves.metrics(np.ones((1, len(pixels.background))), limits)
    error = float(max(abs(of_levels[name][0] - exact[name]) for name in exact))
    replicates = curve_replicates(curves, groups, seed, category, limits)
    costs = background_costs(curves, group_numbers(groups), limits)
    return replicate_intervals(replicates, costs, curves.defective, groups, seed), error


def curve_replicates(
    curves: "LevelCurves", groups: np.ndarray, seed: int, category: str, limits: Sequence[float]
) -> dict[str, np.ndarray]:
    """Metrics of the resampled test sets, by name: float64, (n_resamples,)."""
    drawn = resamples(curves.defective.astype(int), groups, seed, category, BLOCK)
    blocks = [curves.metrics(times, limits) for times in drawn]
    return {name: np.concatenate([each[name] for each in blocks]) for name in blocks[0]}


def replicate_intervals(
    replicates: Mapping[str, np.ndarray],
    costs: Mapping[str, float],
    defective: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> dict[str, Interval]:
    """The `unseen_interval` of each metric; none of a class of fewer than `FEWEST` images.

    Parameters
    ----------
    replicates, costs
        From `curve_replicates` and `background_costs`.
    defective, groups
        Of the images; bool and str, (n_images,).
    seed
        Of the weights of the unseen.
    """
    if smaller_class(defective.astype(int), groups) < FEWEST:
        return {}
    rng = np.random.default_rng(seed)
    shape = replicates["pixel_auroc"].shape
    defect = rng.beta(1, independent_images(groups[defective]), shape)
    background = rng.beta(1, independent_images(groups), shape)
    return {
        name: unseen_interval(own, defect, costs[name] * background)
        for name, own in replicates.items()
    }


def unseen_interval(replicates: np.ndarray, defect: np.ndarray, cost: np.ndarray) -> Interval:
    """Percentiles of a metric's replicates, to each of which an image not yet seen is added.

    Resampling alone knows no image but those seen: that of a perfect map is a point. A sample of n
    leaves a weight of Beta(1, n) to what it lacks, which may be as bad as can be for the lower
    limit and as good as can be for the upper one: Gaffke's bound of a bounded mean, with the
    bootstrap in place of his uniform spacings (Learned-Miller and Thomas, "A new confidence
    interval for the mean of a bounded random variable", 2019). Of maps that are all perfect it is
    the Clopper-Pearson limit of n of n.

    Parameters
    ----------
    replicates
        float64, (n_resamples,), 0 to 1.
    defect
        Weight of a defect not seen, wholly missed or perfectly found, (n_resamples,).
    cost
        What the background of an image not seen takes from the metric, (n_resamples,). It has no
        worst case short of a metric of 0, so that the worst one seen stands for it.
    """
    low = np.quantile(replicates * (1 - defect) - cost, TAIL)
    high = np.quantile(replicates * (1 - defect) + defect, 1 - TAIL)
    return max(float(low), 0.0), min(float(high), 1.0)


def background_costs(
    curves: "LevelCurves", numbers: np.ndarray, limits: Sequence[float]
) -> dict[str, float]:
    """What the background of an image not seen may take from each metric, per unit of its weight.

    The worst one seen is that of the group that lowers the metric most where its background counts
    twice: by a part of 1 / (groups + 1) of what it takes per unit of weight.

    Parameters
    ----------
    curves
        Of the images.
    numbers
        Of their groups: from `bootstrap.group_numbers`.
    limits
        As for `pixel_metrics.pixel_metrics`.
    """
    n_groups = int(numbers.max()) + 1
    exact = curves.metrics(np.ones((1, len(numbers))), limits)
    costs = dict.fromkeys(exact, 0.0)
    for limit in limits:  # what fills a part of the rates up to the limit takes that part
        costs[f"aupro_{limit:g}"] = HOT / limit * float(exact[f"aupro_{limit:g}"][0])
    for start in range(0, n_groups, BLOCK):
        twice = 1.0 + (numbers == np.arange(start, min(start + BLOCK, n_groups))[:, None])
        for name, values in curves.metrics(np.ones_like(twice), limits, twice).items():
            taken = (n_groups + 1) * float(exact[name][0] - values.min())
            costs[name] = max(costs[name], WORSE * taken)
    return costs


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

    def metrics(
        self, times: np.ndarray, limits: Sequence[float], behind: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Metrics of resamples, from how often each image came, (n_resamples, n_images).

        With ``behind``, the background of the images comes that often, and their regions `times`.
        """
        behind = times if behind is None else behind
        background = _curve(behind @ self.background, behind @ self.background_size)
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
