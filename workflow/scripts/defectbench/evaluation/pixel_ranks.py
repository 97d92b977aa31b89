"""Where the defective pixels of a test set stand among its background, whatever its size.

Counts of background pixels add up over any parts of the background. It waits on disk, sorted image
by image, and memory holds a part of it at a time, beside all defective pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectbench.evaluation.spool import Spool
from defectbench.images.index import IndexRow

PIECE = 1 << 24
"""Background pixels that are counted at once, unless one image has more."""

TOUCHING_CORNERS = np.ones((3, 3), bool)

IMAGE_BYTES = 28
"""Per pixel of the largest image: its map, mask and regions while they are made and sorted."""

DEFECTIVE_BYTES = 140
"""Per defective pixel: its score and region, its ranks, and what the metrics make of them."""

LEVELS_BYTES = 150_000
"""Per image: how much of it lies above each level of `pixel_intervals`."""


def measured_pixels(rows: Sequence[IndexRow], resolution: int | str) -> list[int]:
    """Pixels of each image where it is measured."""
    if resolution == "original":
        return [row.width * row.height for row in rows]
    return [int(resolution) ** 2] * len(rows)


def pixel_bytes(sizes: Sequence[int], defective: int) -> int:
    """Memory that pixel metrics take beside the interpreter, in bytes.

    Parameters
    ----------
    sizes
        Pixels of each image.
    defective
        Number of defective pixels.
    """
    background = 4 * min(PIECE, sum(sizes))
    of_images = IMAGE_BYTES * max(sizes, default=0) + LEVELS_BYTES * len(sizes)
    return background + of_images + DEFECTIVE_BYTES * defective


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
