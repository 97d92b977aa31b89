"""Pixel metrics of anomaly maps, exact: every pixel counts, no bins, no grid of thresholds.

Every figure here is a sum over the defective pixels alone, which are few. What a pixel adds depends
on how many background pixels score above it and how many not below it; to count those, the
background's values are sorted by themselves, without their positions, which is some twenty times
faster than ordering all pixels with their labels. Counts add up over any parts of the background,
so that it waits on disk, image by image, and memory holds a part at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectbench.evaluation.spool import Spool

LIMITS = (0.3, 0.05)
"""False-positive rates up to which the per-region overlap is integrated."""

CURVE_RATES = np.unique(
    np.concatenate(
        [np.linspace(0, 0.05, 101), np.linspace(0.05, 0.3, 101), np.linspace(0.3, 1, 71)]
    )
)
"""Where the curve of the per-region overlap is kept: densest where defects are looked for."""

PIECE = 1 << 24
"""Background pixels that are counted at once, unless one image has more."""

TOUCHING_CORNERS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class PixelScores:
    """Scores of a test set's pixels; sorted, because no metric needs their places.

    Attributes
    ----------
    background
        Per image, the ascending scores of its defect-free pixels; on disk.
    scores
        Of all defective pixels, ascending, (n_pixels,).
    region
        Of each defective pixel, int32, (n_pixels,).
    region_size
        In pixels, (n_regions,).
    region_image
        Position of each region's image in `background`, (n_regions,).
    """

    background: Spool
    scores: np.ndarray
    region: np.ndarray
    region_size: np.ndarray
    region_image: np.ndarray

    def of_images(self, images: Sequence[int]) -> "PixelScores":
        """The same of some images alone."""
        position = np.full(len(self.background), -1)
        position[images] = np.arange(len(images))
        kept_region = position[self.region_image] >= 0
        kept_pixel = kept_region[self.region]
        return PixelScores(
            self.background.take(images),
            self.scores[kept_pixel],
            (np.cumsum(kept_region, dtype=np.int32) - 1)[self.region[kept_pixel]],
            self.region_size[kept_region],
            position[self.region_image[kept_region]],
        )


@dataclass(frozen=True)
class RankedPixels:
    """Where each defective pixel stands, from the lowest score to the highest.

    Attributes
    ----------
    above, not_below
        False-positive rates just above the pixel's score, and at it: equal unless a background
        pixel has the same score. float64, (n_pixels,).
    not_below_defective
        Number of defective pixels of this or a higher score, (n_pixels,).
    overlap
        What the pixel adds to the mean per-region overlap: 1 / (pixels of its region × regions).
    background
        Number of background pixels.
    """

    above: np.ndarray
    not_below: np.ndarray
    not_below_defective: np.ndarray
    overlap: np.ndarray
    background: int


def collect_pixels(
    images: Iterable[tuple[np.ndarray, np.ndarray | None]], folder: Path | None = None
) -> PixelScores:
    """Sort the pixels of a test set into background and regions, image by image.

    Parameters
    ----------
    images
        Per image, its anomaly map, float (height, width), and its mask, bool of the same shape;
        None for an image without defects. Sizes may differ between images.
    folder
        Where the background waits; see `Spool`.

    Raises
    ------
    ValueError
        If a mask has another shape than its map, or a score is not finite.
    """
    from scipy import ndimage  # where no image has a mask, half of what the job would import

    background = Spool(folder)
    scores, regions, sizes, owners = [], [], [], []
    n_regions = 0
    for image, (anomaly_map, mask) in enumerate(images):
        if not np.isfinite(anomaly_map).all():
            raise ValueError(f"the anomaly map of image {image} has scores that are not finite")
        if mask is None:
            background.append(np.sort(anomaly_map, axis=None))
            continue
        if mask.shape != anomaly_map.shape:
            raise ValueError(f"image {image}: mask {mask.shape}, map {anomaly_map.shape}")
        background.append(np.sort(anomaly_map[~mask]))
        labelled, count = ndimage.label(mask, TOUCHING_CORNERS)
        own = labelled[mask]
        scores.append(anomaly_map[mask])
        regions.append((own + (n_regions - 1)).astype(np.int32))
        sizes.append(np.bincount(own, minlength=count + 1)[1:])
        owners.append(np.full(count, image))
        n_regions += count
    if not scores:
        none = np.empty(0, np.int32)
        return PixelScores(background, np.empty(0, np.float32), none, none, none)
    joined = np.concatenate(scores)
    order = np.argsort(joined, kind="stable")
    return PixelScores(
        background,
        joined[order],
        np.concatenate(regions)[order],
        np.concatenate(sizes),
        np.concatenate(owners),
    )


def rank_pixels(pixels: PixelScores) -> RankedPixels | None:
    """Rank the defective pixels among the background; None unless both occur."""
    scores, sizes = pixels.scores, pixels.background.sizes
    n_background = int(sizes.sum())
    if not len(scores) or not n_background:
        return None
    # each part of the scores is compared with the background around it alone: time would otherwise
    # grow with the number of pieces times that of defective pixels
    edges = np.unique(np.linspace(0, len(scores), 2 + n_background // PIECE).astype(int))
    lowest, highest = scores[edges[:-1]], scores[edges[1:] - 1]
    around = [
        (np.searchsorted(own, lowest, "left"), np.searchsorted(own, highest, "right"))
        for own in pixels.background
    ]
    starts, stops = np.array(around).transpose(1, 2, 0)
    above, not_below = np.empty((2, len(scores)), np.int64)
    for first, last, start, stop in zip(edges[:-1], edges[1:], starts, stops, strict=True):
        own = scores[first:last]
        above[first:last] = not_below[first:last] = (sizes - stop).sum()
        for piece in _pieces(pixels.background, start, stop):
            above[first:last] += len(piece) - np.searchsorted(piece, own, "right")
            not_below[first:last] += len(piece) - np.searchsorted(piece, own, "left")
    return RankedPixels(
        above / n_background,
        not_below / n_background,
        len(scores) - np.searchsorted(scores, scores, "left"),
        1 / (pixels.region_size[pixels.region] * len(pixels.region_size)),
        n_background,
    )


def _pieces(background: Spool, starts: np.ndarray, stops: np.ndarray) -> Iterator[np.ndarray]:
    """What lies between two places of each image, ascending, at most `PIECE` of it at once."""
    total = int((stops - starts).sum())
    piece, filled = np.empty(min(PIECE, total), background.dtype), 0
    for image, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        while start < stop:
            taken = min(stop - start, len(piece) - filled)
            piece[filled : filled + taken] = background.part(image, start, start + taken)
            start, filled = start + taken, filled + taken
            if filled == len(piece):
                piece.sort()
                yield piece
                filled, total = 0, total - filled
                piece = piece[: min(PIECE, total)]


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
