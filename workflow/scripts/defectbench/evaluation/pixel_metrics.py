"""Pixel metrics of anomaly maps, exact: every pixel counts, no bins, no grid of thresholds.

Every figure here is a sum over the defective pixels alone, which are few. What a pixel adds depends
on how many background pixels score above it and how many not below it; to count those, the
background's values are sorted by themselves, without their positions, which is some twenty times
faster than ordering all pixels with their labels.
"""

from collections.abc import Sequence

import numpy as np

from defectbench.evaluation.pixel_ranks import PixelScores, RankedPixels, rank_pixels

LIMITS = (0.3, 0.05)
"""False-positive rates up to which the per-region overlap is integrated."""

CURVE_RATES = np.unique(
    np.concatenate(
        [np.linspace(0, 0.05, 101), np.linspace(0.05, 0.3, 101), np.linspace(0.3, 1, 71)]
    )
)
"""Where the curve of the per-region overlap is kept: densest where defects are looked for."""


def pixel_metrics(
    ranked: RankedPixels | None, limits: Sequence[float] = LIMITS
) -> dict[str, float | None]:
    """Pixel AUROC, pixel average precision, and AUPRO up to each limit.

    AUPRO is the area under the mean per-region overlap against the false-positive rate, up to a
    limit and divided by it (Bergmann et al., IJCV 2021); ties are merged, and the curve is linear
    between its points and up to the limit. All None where there are no defective or no background
    pixels.
    """
    names = ("pixel_auroc", "pixel_aupr", *(f"aupro_{limit:g}" for limit in limits))
    if ranked is None:
        return dict.fromkeys(names)
    n_defective = len(ranked.above)
    false_positives = ranked.not_below * ranked.background
    precision = ranked.not_below_defective / (ranked.not_below_defective + false_positives)
    figures = (
        _area(ranked, 1.0).sum() / n_defective,
        precision.mean(),
        *((ranked.overlap * _area(ranked, limit)).sum() / limit for limit in limits),
    )
    return {name: float(figure) for name, figure in zip(names, figures, strict=True)}


def defect_pixel_metrics(
    pixels: PixelScores, defects: np.ndarray, limits: Sequence[float] = LIMITS
) -> list[dict[str, str | int | float | None]]:
    """Per defect type: the metrics of its images and the good ones, without the other types.

    Parameters
    ----------
    defects
        Defect type of each image, ``good`` for none, (n_images,).
    """
    rows: list[dict[str, str | int | float | None]] = []
    for defect in sorted(set(defects) - {"good"}):
        own = pixels.of_images(np.flatnonzero((defects == defect) | (defects == "good")))
        counts = {"images": int((defects == defect).sum()), "regions": len(own.region_size)}
        rows.append({"defect": str(defect), **counts, **pixel_metrics(rank_pixels(own), limits)})
    return rows


def _area(ranked: RankedPixels, limit: float) -> np.ndarray:
    """What one pixel of unit weight adds to the area under a curve up to a false-positive rate.

    Its step is a ramp from `above` to `not_below`, where the curve joins two merged points, and
    full from there to the limit.
    """
    ramp = ranked.not_below - ranked.above
    climbed = np.clip(limit - ranked.above, 0, ramp)
    slope = np.divide(climbed, ramp, out=np.zeros_like(ramp), where=ramp > 0)
    return climbed * slope / 2 + np.maximum(limit - ranked.not_below, 0)


def pro_curve(ranked: RankedPixels, rates: np.ndarray) -> np.ndarray:
    """Mean per-region overlap at false-positive rates, exact; the upper value at a vertical step.

    Parameters
    ----------
    rates
        0 to 1, (n_points,).

    Returns
    -------
    ndarray
        float64, (n_points,).
    """
    reached = np.append(0, np.cumsum(ranked.overlap[::-1]))
    above, not_below = ranked.above[::-1], ranked.not_below[::-1]
    full = np.searchsorted(not_below, rates, "right")
    begun = np.maximum(np.searchsorted(above, rates, "left"), full)
    last = np.minimum(full, len(above) - 1)  # of one score with all those begun
    ramp = not_below[last] - above[last]
    share = np.divide(rates - above[last], ramp, out=np.zeros_like(ramp), where=ramp > 0)
    return reached[full] + (reached[begun] - reached[full]) * np.clip(share, 0, 1)


def figures_at(pixels: PixelScores, threshold: float) -> dict[str, float | None]:
    """What is marked at a threshold: of the background, of regions, of good and defective images.

    Returns
    -------
    dict of str to float
        Shares, 0 to 1; None of a class that does not occur. ``mean_overlap`` is the mean share of
        a region that is marked, ``regions_found`` the share of regions with any marked pixel.
    """
    n_images, n_regions = len(pixels.background), len(pixels.region_size)
    marked_background = np.array([_not_below(own, threshold) for own in pixels.background])
    first = np.searchsorted(pixels.scores, threshold, "left")
    marked = np.bincount(pixels.region[first:], minlength=n_regions)
    defective = np.isin(np.arange(n_images), pixels.region_image)
    found = marked_background > 0
    found[pixels.region_image[marked > 0]] = True
    return {
        "pixel_false_positive_rate": _share(marked_background, int(pixels.background.sizes.sum())),
        "mean_overlap": _share(marked / pixels.region_size, n_regions),
        "regions_found": _share(marked > 0, n_regions),
        "good_images_marked": _share(found[~defective], (~defective).sum()),
        "defective_images_marked": _share(found[defective], defective.sum()),
    }


def _not_below(ascending: np.ndarray, threshold: float) -> int:
    return len(ascending) - int(np.searchsorted(ascending, threshold, "left"))


def _share(counted: np.ndarray, of: int) -> float | None:
    return float(counted.sum() / of) if of else None
