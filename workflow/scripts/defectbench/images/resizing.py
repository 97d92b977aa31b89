"""Images resized exactly as the published systems do it: OpenCV's bilinear, Pillow's LANCZOS."""

import numpy as np
from PIL import Image

from defectbench.images.canvas import (
    CROP,
    PAD,
    Preprocessing,
    Shape,
    middle,
    part,
    square_side,
)

UNIT = np.float32(2048)
"""OpenCV's fixed-point weights have 11 bits."""

BAND_BYTES = 1 << 24
"""Of rows that are padded at once."""


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Bring an image to its part of the canvas.

    Parameters
    ----------
    image
        RGB or greyscale; one channel is resized alone and replicated, which changes no pixel.
    preprocessing
        From `canvas.with_canvas`.

    Returns
    -------
    ndarray
        uint8, (height, width, 3): what the image covers of the canvas, see `canvas.part`.
    """
    aspect = preprocessing.get("aspect")
    if aspect == CROP:
        image = Image.fromarray(middle_square(np.asarray(image)))
    crop = preprocessing.get("crop")
    height, width = (
        (preprocessing["size"],) * 2 if crop else part(preprocessing, image.height, image.width)
    )
    if preprocessing["interpolation"] == "bilinear":
        pixels = resize_bilinear(np.asarray(image), (height, width), padded=aspect == PAD)
    elif aspect == PAD:
        pixels = _padded_lanczos(np.asarray(image), height)
    else:
        pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    if crop:
        pixels = pixels[middle(height, crop), middle(width, crop)]
    return np.stack([pixels] * 3, axis=2) if pixels.ndim == 2 else pixels


def resize_bilinear(pixels: np.ndarray, shape: Shape, padded: bool = False) -> np.ndarray:
    """Bilinear resize without antialiasing, bit for bit OpenCV's ``INTER_LINEAR`` on uint8.

    OpenCV works in fixed point, with weights of 11 bits, and truncates between the passes; a
    float resize differs by one grey level in some 6 % of the pixels, which moves a log density
    by 1 to 2. Positions are float32, and beyond the border the weights are reset in x alone:
    both decide pixels for sizes other than 224 and 256.

    Parameters
    ----------
    pixels
        uint8, (height, width) or (height, width, channels).
    shape
        Height and width of the result.
    padded
        Whether to resize the square that the image is the middle of, its border's pixels going on.

    Returns
    -------
    ndarray
        uint8, of that height and width, with the same channels.
    """
    height, width = pixels.shape[:2]
    samples = pixels.reshape(height, -1)  # channels side by side: single bytes are taken fastest
    depth = samples.shape[1] // width
    whole = (max(height, width),) * 2 if padded else (height, width)
    top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    row, below = _positions(whole[0], shape[0])
    column, right = _positions(whole[1], shape[1])
    right[(column < 0) | (column >= whole[1] - 1)] = 0
    before, after = (weights.repeat(depth) for weights in _fixed_point(right))
    taken, next_taken = (
        ((c - left).clip(0, width - 1)[:, None] * depth + np.arange(depth)).ravel()
        for c in (column, column + 1)
    )

    def horizontal(rows: np.ndarray) -> np.ndarray:
        source = samples[(rows - top).clip(0, height - 1)]
        return source.take(taken, axis=1) * before + source.take(next_taken, axis=1) * after

    upper, lower = (
        (weights[:, None] * (horizontal(rows) >> 4)) >> 16
        for rows, weights in zip((row, row + 1), _fixed_point(below), strict=True)
    )
    return ((upper + lower + 2) >> 2).astype(np.uint8).reshape(*shape, *pixels.shape[2:])


def _positions(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Source pixel and float32 distance beyond it of each target pixel; centres aligned."""
    scale = 1 / (size / length)  # not length / size: the last bit decides some pixels
    position = ((np.arange(size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    return first.astype(np.int64), position - first


def _fixed_point(weight: np.ndarray) -> list[np.ndarray]:
    """Weights of 11 bits for a pixel and its successor."""
    return [np.rint(share * UNIT).astype(np.int32) for share in (1 - weight, weight)]


def _padded_lanczos(pixels: np.ndarray, size: int) -> np.ndarray:
    """The square that an image is the middle of, its border's pixels going on, resized.

    Bars of one colour would put edges into every image that no part has, and networks answer to
    edges. Pillow brings rows to their width, rounds, and then columns to their height: done here
    one after the other, that is the same to the bit, and the square of a long strip is never made.
    """
    height, width = pixels.shape[:2]
    side, channels = max(height, width), [(0, 0)] * (pixels.ndim - 2)
    above, beside = _around(height, side), _around(width, side)
    rows = max(1, BAND_BYTES // (3 * side))
    bands = []
    for start in range(0, height, rows):
        band = np.pad(pixels[start : start + rows], [(0, 0), beside, *channels], "edge")
        bands.append(_lanczos(band, (len(band), size)))
    return _lanczos(np.pad(np.concatenate(bands), [above, (0, 0), *channels], "edge"), (size, size))


def _lanczos(pixels: np.ndarray, shape: Shape) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(shape[::-1], Image.Resampling.LANCZOS))


def _around(length: int, side: int) -> tuple[int, int]:
    """How much to add before and after an axis, so that `middle` finds it again."""
    before = (side - length) // 2
    return before, side - length - before


def middle_square(pixels: np.ndarray) -> np.ndarray:
    """The central square of an image, (height, width) or (height, width, channels)."""
    height, width = pixels.shape[:2]
    side = square_side(height, width, CROP)
    return pixels[middle(height, side), middle(width, side)]
