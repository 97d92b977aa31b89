"""Anomaly maps laid over their images, and placed on one scale for all images of a detector."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from defectbench.evaluation.promises import Asked, promise
from defectbench.images.canvas import (
    CROP,
    PAD,
    Preprocessing,
    Shape,
    canvas,
    covers,
    follows_images,
    middle,
    part,
    place,
    square_side,
)
from defectbench.scorers.grids import bilinear

MAP_BYTES = 1 << 25
"""Of maps that are read at once; the median takes three times as much."""

SAMPLED = 4096
"""One of so many values of a block says where the median is looked for."""


class MapScale(NamedTuple):
    """One scale for all images of a detector, so that a good part is never stretched into a glow.

    Attributes
    ----------
    typical
        Score of an ordinary pixel of a defect-free image: the bottom of the scale.
    threshold
        The detector's pixel threshold: the middle of the scale. The top lies as far above it.

    Both are None of a detector that does not localize.
    """

    typical: float | None
    threshold: float | None

    def levels(self, anomaly_map: np.ndarray) -> np.ndarray:
        """Position on the scale, float32: 0 typical, 0.5 the threshold, 1 the top and all above."""
        # of maps that are constant both levels are one, and nothing may be divided by 0
        span = max(2 * (self.threshold - self.typical), np.finfo(np.float32).tiny)
        return (
            ((anomaly_map.astype(np.float64) - self.typical) / span).clip(0, 1).astype(np.float32)
        )


def map_blocks(maps: np.ndarray) -> Iterator[np.ndarray]:
    """Maps in blocks of images; `maps` may be an HDF5 dataset, of which a block is read at once."""
    step = max(1, MAP_BYTES // (maps.dtype.itemsize * int(np.prod(maps.shape[1:]))))
    for start in range(0, len(maps), step):
        yield maps[start : start + step]


def map_scale(good_maps: np.ndarray | None, groups: np.ndarray, asked: Asked) -> MapScale:
    """Scale of a detector, from its maps of good images.

    Parameters
    ----------
    good_maps
        Of defect-free images by models fitted without them, (n_images, rows, columns), in memory
        or as an HDF5 dataset; None of a detector that does not localize.
    groups
        Of these images; '' is a group of its own.
    asked
        What the pixel threshold is to keep.
    """
    if good_maps is None:
        return MapScale(None, None)
    return MapScale(median(good_maps), pixel_threshold(good_maps, groups, asked))


def pixel_threshold(good_maps: np.ndarray, groups: np.ndarray, asked: Asked) -> float:
    """Lowest level that good images reach nowhere, but for the share of them that is asked for.

    Defined on images, not on pixels: a good part with one glowing spot is a false alarm, however
    few its pixels are. Interpolation adds no higher value, so that maps of any resolution do.

    Parameters
    ----------
    good_maps, groups, asked
        As for `map_scale`; of the mark ``map >= threshold``.
    """
    maxima = [block.max(axis=(1, 2)) for block in map_blocks(good_maps)]
    return promise(np.concatenate(maxima).astype(np.float64), groups, asked)["threshold"]


def median(maps: np.ndarray) -> float:
    """Median of all values, exact, as NumPy's; blocks are read twice.

    What lies between two bounds of the median is a small share of all values, which is kept.
    """
    low, high = _around_median(maps)
    below, at_low, between = 0, 0, []
    for block in map_blocks(maps):
        below += int((block < low).sum())
        at_low += int((block == low).sum())
        between.append(block[(block > low) & (block < high)])
    inside = np.sort(np.concatenate(between))

    def at(rank: int) -> np.generic:
        place = rank - below - at_low
        return low if place < 0 else inside[place] if place < len(inside) else high

    return float(np.median(np.array([at((maps.size - 1) // 2), at(maps.size // 2)])))


def _around_median(maps: np.ndarray) -> tuple[np.generic, np.generic]:
    """A value that is no higher than either of the two middle ones, and one that is no lower.

    Each is of a sample: every `SAMPLED`-th of each block's ascending values, and its last one. Of a
    block with k samples below a value, at most k `SAMPLED` values are below it; with k samples up
    to a value, the last one perhaps among them, more than (k - 2) `SAMPLED` are up to it.
    """
    samples = []
    for block in map_blocks(maps):
        ascending = np.sort(block, axis=None)
        samples.append(np.append(ascending[::SAMPLED], ascending[-1]))
    ordered = np.sort(np.concatenate(samples))
    low = (maps.size - 1) // 2 // SAMPLED
    high = maps.size // 2 // SAMPLED + 2 * len(samples)
    return ordered[low], ordered[min(high, len(ordered) - 1)]


def over_whole_image(
    anomaly_map: np.ndarray,
    image: Shape,
    preprocessing: Preprocessing,
    unseen: float | None,
    shown: Shape | None = None,
) -> np.ndarray:
    """A map that covers the image, all of it and nothing else.

    Parameters
    ----------
    anomaly_map
        float, (rows, columns), of the canvas.
    image
        Height and width of the image.
    preprocessing
        Of which the canvas is: from `images.canvas.with_canvas`.
    unseen
        Level of what was cut off, at which nothing has looked.
    shown
        Height and width to which the map will be brought, if not those of the image.

    Returns
    -------
    ndarray
        The map itself where the canvas is the image; else of other sides, dtype of `anomaly_map`.
    """
    if follows_images(preprocessing):
        return _covered_part(anomaly_map, image, preprocessing)
    aspect = preprocessing.get("aspect")
    if aspect not in (PAD, CROP) or image[0] == image[1]:
        return anomaly_map
    height, width = shown or image
    side = square_side(height, width, aspect)
    if aspect != CROP:  # of a long strip, the square would be many times as large
        return bilinear(anomaly_map, (side, side), (middle(side, height), middle(side, width)))
    whole = np.full((height, width), unseen, anomaly_map.dtype)
    whole[middle(height, side), middle(width, side)] = bilinear(anomaly_map, (side, side))
    return whole


def _covered_part(
    anomaly_map: np.ndarray, image: Shape, preprocessing: Preprocessing
) -> np.ndarray:
    """What lies on the image's place on the canvas, in pixels of the canvas."""
    if covers(preprocessing, *image):
        return anomaly_map
    top, left, height, width = place(preprocessing, part(preprocessing, *image))
    whole = bilinear(anomaly_map, canvas(preprocessing))
    return whole[top : top + height, left : left + width]
