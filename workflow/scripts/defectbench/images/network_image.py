"""An image file as a detector's network takes it: decoded and resized as the benchmark does."""

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.images.canvas import canvas
from defectbench.images.decoding import in_order, load_image
from defectbench.images.resizing import preprocess

AHEAD = 4
"""Images per thread that are decoded before they are needed."""


class Decoded(NamedTuple):
    """An image as the network takes it.

    Attributes
    ----------
    path
        Of the file.
    pixels
        uint8, (height, width, 3): what the image covers of the canvas.
    size
        Width and height before the resize.
    milliseconds
        From the file to the pixels.
    """

    path: Path
    pixels: np.ndarray
    size: tuple[int, int]
    milliseconds: float


def decoded_images(
    files: Iterable[Path], settings: Mapping[str, Any], threads: int
) -> Iterator[Decoded]:
    """Decode files in their order, in parallel and with bounded memory; see `decoded_image`."""
    return in_order(partial(decoded_image, settings=settings), files, threads, AHEAD * threads)


def covers_canvas(image: Decoded, settings: Mapping[str, Any]) -> bool:
    """Whether an image has the proportions of those that the detector was made for."""
    return image.pixels.shape[:2] == canvas(settings["preprocessing"])


def whole_image(path: Path, settings: Mapping[str, Any]) -> Decoded:
    """An image that a detector can take, as `decoded_image` gives it.

    Raises
    ------
    InputError
        As `decoded_image` does; or if the image has other proportions than those that the detector
        was made for.
    """
    image = decoded_image(path, settings)
    if not covers_canvas(image, settings):
        width, height = image.size
        rows, columns = canvas(settings["preprocessing"])
        raise InputError(
            f"{path}: {width}×{height} pixels, which is another shape than that of the images the "
            f"detector was made for, {columns}×{rows} as it sees them; crop the image to that shape"
        )
    return image


def decoded_image(path: Path, settings: Mapping[str, Any]) -> Decoded:
    """Decode and resize one file as the benchmark does.

    Parameters
    ----------
    path
        The file.
    settings
        With ``preprocessing`` and ``bits``: a detector's metadata, or a model's specification.

    Raises
    ------
    InputError
        If the file is no image, or one that the memory does not hold.
    """
    start = time.perf_counter()
    try:
        image = load_image(path, settings["bits"])
        pixels = preprocess(image, settings["preprocessing"])
    except MemoryError as error:
        raise InputError(
            f"{path}: too large for this machine's memory; store it smaller"
        ) from error
    return Decoded(path, pixels, image.size, 1000 * (time.perf_counter() - start))
