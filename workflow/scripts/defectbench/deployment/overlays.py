"""Where a detector saw something: its map over the image, on one scale for all images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.images.resizing import PAD, SQUASH

LARGEST_SIDE = 1024
QUALITY = 85

STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], float)
"""From dark to bright by way of purple and orange: lightness rises throughout, for every eye."""


def write_overlay(
    pixels: np.ndarray,
    strength: np.ndarray,
    size: tuple[int, int],
    path: Path,
    aspect: str = SQUASH,
) -> None:
    """Write image and overlay side by side, as JPEG.

    Parameters
    ----------
    pixels
        uint8, (side, side, 3), as the network saw the image.
    strength
        float32, (height, width), from `map_strength`.
    size
        Width and height of the picture; larger ones than `LARGEST_SIDE` are reduced.
    path
        Written, with its folders.
    aspect
        How the square was made of the image; what was padded is not drawn.
    """
    side = len(pixels)
    smooth = np.asarray(Image.fromarray(strength).resize((side, side), Image.Resampling.BILINEAR))
    shares = 0.75 * smooth[..., None]
    blended = pixels * (1 - shares) + colours(smooth) * shares
    pair = [Image.fromarray(pixels), Image.fromarray(blended.round().astype(np.uint8))]
    factor = min(1, LARGEST_SIDE / max(size))
    width, height = (max(1, round(length * factor)) for length in size)
    part = _image_in_square(side, width, height) if aspect == PAD else None
    sheet = Image.new("RGB", (2 * width, height))
    for column, image in enumerate(pair):
        sheet.paste(image.resize((width, height), box=part), (column * width, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "JPEG", quality=QUALITY)


def _image_in_square(side: int, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an image of these proportions, padded to a square."""
    across, down = (side * length / max(width, height) for length in (width, height))
    left, top = (side - across) / 2, (side - down) / 2
    return left, top, left + across, top + down


def map_strength(found: np.ndarray, scale: Mapping[str, float]) -> np.ndarray:
    """A map on the scale of all images of a detector.

    Parameters
    ----------
    found
        float32, (height, width).
    scale
        ``typical`` level of a good image and pixel ``threshold``.

    Returns
    -------
    ndarray
        float32, (height, width): 0 typical and below, 0.5 the threshold, 1 as far above it.
    """
    span = max(2 * (scale["threshold"] - scale["typical"]), np.finfo(np.float32).tiny)
    return ((found.astype(np.float64) - scale["typical"]) / span).clip(0, 1).astype(np.float32)


def colours(strength: np.ndarray) -> np.ndarray:
    """Colours of values from 0 to 1: float64, (…, 3), 0 to 255."""
    at = np.linspace(0, 1, len(STOPS))
    return np.stack([np.interp(strength, at, channel) for channel in STOPS.T], axis=-1)
