"""Figures of an image that say whether it was taken like the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.rates import independent_size


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
    """Figures of an image of network size, uint8, (height, width, 3), that came in `size`."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1) if grey.shape[axis] > 1]
    sharpness = float(np.mean(steps)) if steps else 0.0
    return ImageStatistics(float(grey.mean()), sharpness, *size)


def photographed(
    statistics: Sequence[ImageStatistics], groups: Sequence[str] | np.ndarray
) -> dict[str, Any]:
    """What a detector keeps of images, to compare later ones with them.

    Parameters
    ----------
    statistics
        Of at least one image.
    groups
        Of the images; '' is a group of its own.

    Returns
    -------
    dict
        ``images``, their number; ``independent``, from `rates.independent_size`; and for
        each field of `ImageStatistics` all values, sorted.
    """
    values = {
        name: sorted(each)
        for name, each in zip(ImageStatistics._fields, zip(*statistics, strict=True), strict=True)
    }
    return {"images": len(statistics), "independent": independent_size(groups), **values}
