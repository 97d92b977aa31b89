"""Anomaly maps laid over their images, and placed on one scale for all images of a detector."""

from typing import NamedTuple

import numpy as np

from defectbench.evaluation.pixel_metrics import pixel_threshold
from defectbench.images.resizing import CROP, SQUASH, middle, square_side
from defectbench.scorers.grids import bilinear


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


def map_scale(held_out_maps: np.ndarray | None, rate: float) -> MapScale:
    """Scale of a detector, from its maps of good images.

    Parameters
    ----------
    held_out_maps
        Of defect-free images by models fitted without them, (n_images, rows, columns); None of a
        detector that does not localize.
    rate
        Share of them that the pixel threshold may mark, 0 to 1.
    """
    if held_out_maps is None:
        return MapScale(None, None)
    return MapScale(float(np.median(held_out_maps)), pixel_threshold(held_out_maps, rate))


def over_whole_image(
    anomaly_map: np.ndarray, height: int, width: int, aspect: str, unseen: float
) -> np.ndarray:
    """A map that covers the image, all of it and nothing else.

    Parameters
    ----------
    anomaly_map
        float, (rows, columns), of the square that the network saw.
    height, width
        Of the image, at any scale.
    aspect
        How the square was made: one of `images.resizing.ASPECTS`.
    unseen
        Level of what was cut off, at which nothing has looked.

    Returns
    -------
    ndarray
        The map itself for an image that was squashed or is square; else (height, width), dtype of
        `anomaly_map`.
    """
    if aspect == SQUASH or height == width:
        return anomaly_map
    side = square_side(height, width, aspect)
    square = bilinear(anomaly_map, (side, side))
    if aspect != CROP:
        return square[middle(side, height), middle(side, width)]
    whole = np.full((height, width), unseen, anomaly_map.dtype)
    whole[middle(height, side), middle(width, side)] = square
    return whole
