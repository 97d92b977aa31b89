"""From image files to uint8 RGB squares."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.depth import is_deep, to_8_bits
from defectbench.images.orientation import open_image, orientation, turn_upright
from defectbench.images.png import decode_plain_png
from defectbench.images.resizing import preprocess

DECODED_AHEAD = 16
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
GREY_MODES = frozenset({"1", "L", "LA"})


def decode_images(
    files: Sequence[Path],
    preprocessings: Mapping[str, Mapping[str, Any]],
    threads: int,
    bits: int | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Decode each file once and resize it in every way, in parallel, with bounded memory.

    Parameters
    ----------
    files
        Image files.
    preprocessings
        Entries of ``preprocessings`` in the config, by name.
    threads
        How many to decode at once; decoders and resizers work outside Python's lock.
    bits
        As in `load_image`.

    Yields
    ------
    dict of ndarray
        Per file, in order: by the preprocessing's name, uint8, (side, side, 3), RGB.

    Raises
    ------
    InputError
        If a file cannot be decoded.
    """

    def squares(file: Path) -> dict[str, np.ndarray]:
        image = load_image(file, bits)
        return {name: preprocess(image, entry) for name, entry in preprocessings.items()}

    with ThreadPoolExecutor(threads) as pool:
        pending = deque()
        for file in files:
            pending.append(pool.submit(squares, file))
            if len(pending) >= DECODED_AHEAD + threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def load_image(file: Path, bits: int | None = None) -> Image.Image:
    """Read an image as it is to be seen, as 8-bit RGB, or as 8-bit grey if the file is grey.

    An alpha channel is dropped, and an orientation that the file states is applied.

    Parameters
    ----------
    file
        The image.
    bits
        Bits that 16-bit values use, 9 to 16; the upper 8 of them are kept. None for what the
        file states, and 16 if it states nothing.

    Raises
    ------
    InputError
        If the file cannot be decoded, or a value needs more bits.
    """
    try:
        pixels = decode_plain_png(file.read_bytes()) if file.suffix.lower() == ".png" else None
        if pixels is not None:
            return Image.fromarray(pixels)
        with open_image(file) as image:
            shallow = to_8_bits(image, file, bits) if is_deep(image) else image
            shallow.load()  # Pillow turns a TIFF itself, here
            turned = turn_upright(shallow, orientation(image))
            return turned.convert("L" if turned.mode in GREY_MODES else "RGB")
    except UNREADABLE as error:
        raise InputError(f"{file.resolve()}: cannot be decoded ({error})") from error


def load_rgb(file: Path, bits: int | None = None) -> Image.Image:
    """Read an image as 8-bit RGB, as `load_image` does; grey is replicated."""
    return load_image(file, bits).convert("RGB")
