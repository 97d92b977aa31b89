"""How an image that is not square becomes one: squashed, padded, or cut to its central square."""

import numpy as np

SQUASH, PAD, CROP = "squash", "pad", "crop"
ASPECTS = (SQUASH, PAD, CROP)


def to_square(pixels: np.ndarray, aspect: str) -> np.ndarray:
    """Pad an image to a square or cut it to one; to squash it is left to the resize.

    Padding repeats the border's pixels: bars of one colour would put edges into every image that
    no part has, and networks answer to edges.

    Parameters
    ----------
    pixels
        (height, width) or (height, width, channels).
    aspect
        One of `ASPECTS`.

    Returns
    -------
    ndarray
        With the side that `square_side` tells; as it came for `SQUASH`.
    """
    if aspect == SQUASH:
        return pixels
    height, width = pixels.shape[:2]
    side = square_side(height, width, aspect)
    if aspect == CROP:
        return pixels[middle(height, side), middle(width, side)]
    ends = [_around(height, side), _around(width, side), (0, 0)]
    return np.pad(pixels, ends[: pixels.ndim], mode="edge")


def square_side(height: int, width: int, aspect: str) -> int:
    """Side of the square that an image is padded or cut to."""
    return max(height, width) if aspect == PAD else min(height, width)


def middle(length: int, part: int) -> slice:
    """Where a part of an axis lies that leaves as much on both sides."""
    start = (length - part) // 2
    return slice(start, start + part)


def _around(length: int, side: int) -> tuple[int, int]:
    """How much to add before and after an axis, so that `middle` finds it again."""
    before = (side - length) // 2
    return before, side - length - before
