"""Figures of an image that say whether it was taken like the training images."""

from typing import NamedTuple

import numpy as np


class ImageStatistics(NamedTuple):
    """Figures of one image.

    Attributes
    ----------
    brightness
        Mean grey value, 0 to 255.
    sharpness
        Mean absolute difference of grey values between neighbours, at network size.
    width, height
        In pixels, before the resize.
    """

    brightness: float
    sharpness: float
    width: int
    height: int


def image_statistics(pixels: np.ndarray, size: tuple[int, int]) -> ImageStatistics:
    """Figures of an image of network size, uint8, (side, side, 3), that came in `size`."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1) if grey.shape[axis] > 1]
    sharpness = float(np.mean(steps)) if steps else 0.0
    return ImageStatistics(float(grey.mean()), sharpness, *size)


def training_ranges(statistics: list[ImageStatistics]) -> dict[str, list[float]]:
    """Smallest and largest of each figure; and as often the number of images."""
    ranges = {
        name: [min(values), max(values)]
        for name, values in zip(ImageStatistics._fields, zip(*statistics, strict=True), strict=True)
    }
    return {**ranges, "images": [len(statistics)] * 2}
