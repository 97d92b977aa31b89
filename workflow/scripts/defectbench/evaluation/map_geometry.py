"""Anomaly maps of squares laid over the images that the squares were made of."""

import numpy as np

from defectbench.images.resizing import CROP, SQUASH, middle, square_side
from defectbench.scorers.grids import bilinear


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
