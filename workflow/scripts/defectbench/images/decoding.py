"""From image files to uint8 RGB squares."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.resizing import preprocess

DECODE_WINDOW = 32


def decode_images(
    files: Sequence[Path], preprocessing: Mapping[str, Any], threads: int
) -> Iterator[np.ndarray]:
    """Decode and resize files in parallel, in order and with bounded memory.

    Parameters
    ----------
    files
        Image files.
    preprocessing
        An entry of ``preprocessings`` in the config.
    threads
        How many to decode at once; Pillow decodes and resizes outside Python's lock.

    Yields
    ------
    ndarray
        uint8, (side, side, 3), RGB.
    """
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(files), DECODE_WINDOW):
            window = files[start : start + DECODE_WINDOW]
            yield from pool.map(lambda file: preprocess(load_rgb(file), preprocessing), window)


def load_rgb(file: Path) -> Image.Image:
    """Read an image as 8-bit RGB; greyscale is replicated, 16 bits keep their upper 8.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    try:
        with Image.open(file) as image:
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{file}: cannot be decoded ({error})") from error
