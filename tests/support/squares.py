"""Images brought to squares as a whole, which is what the package does without making them."""

import numpy as np


def padded_square(pixels: np.ndarray) -> np.ndarray:
    """The square that an image is the middle of, its border's pixels going on."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    before = [(side - height) // 2, (side - width) // 2]
    ends = [(before[0], side - height - before[0]), (before[1], side - width - before[1]), (0, 0)]
    return np.pad(pixels, ends[: pixels.ndim], mode="edge")


def to_square(pixels: np.ndarray, aspect: str) -> np.ndarray:
    """The padded square, or the central one."""
    if aspect == "pad":
        return padded_square(pixels)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
