"""Images decoded ahead while the network works on those before."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.images.decoding import load_image
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
        uint8, (side, side, 3).
    size
        Width and height before the resize.
    milliseconds
        From the file to the pixels.
    """

    path: Path
    pixels: np.ndarray
    size: tuple[int, int]
    milliseconds: float


class Unreadable(NamedTuple):
    """A file that is no image, and why."""

    path: Path
    reason: str


def decoded_images(
    files: Iterable[Path], preprocessing: Mapping[str, Any], threads: int, bits: int | None = None
) -> Iterator[Decoded | Unreadable]:
    """Decode files in their order, in parallel and with bounded memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()
        for path in files:
            waiting.append(pool.submit(decoded_image, path, preprocessing, bits))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def decoded_image(
    path: Path, preprocessing: Mapping[str, Any], bits: int | None = None
) -> Decoded | Unreadable:
    """Decode and resize one file as the benchmark does; `bits` as in `load_image`."""
    start = time.perf_counter()
    try:
        image = load_image(path, bits)
        pixels = preprocess(image, preprocessing)
    except InputError as error:
        return Unreadable(path, str(error))
    except MemoryError:
        return Unreadable(path, f"{path}: too large for this machine's memory")
    return Decoded(path, pixels, image.size, milliseconds_since(start))


def milliseconds_since(start: float) -> float:
    """Milliseconds since `time.perf_counter` gave `start`."""
    return (time.perf_counter() - start) * 1000
