"""From image files to 8-bit RGB, upright, and to what networks take of them."""

import re
import struct
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image

from defectbench.errors import InputError
from defectbench.images.canvas import Preprocessing
from defectbench.images.depth import is_deep, to_8_bits
from defectbench.images.resizing import preprocess

try:
    import imagecodecs
except ImportError:  # where an exported detector is run: Pillow gives the same pixels
    imagecodecs = None


UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
GREY_MODES = frozenset({"1", "L", "LA"})


Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Iterator[Result]:
    """Results of a function for each item, in the items' order, computed ahead in threads.

    Work begins with the call and not with the first result that is asked for, so that images are
    decoded while a network is still being loaded.

    Parameters
    ----------
    function
        What is done in the threads; decoders and resizers work outside Python's lock.
    items
        Taken one by one, as results are handed out.
    threads
        How many items to work on at once.
    ahead
        Items that may be begun or done before their result is asked for, which bounds memory.

    Returns
    -------
    iterator
        An error of `function` is raised where its result would have come.
    """
    pool, items = ThreadPoolExecutor(threads), iter(items)
    pending = deque(pool.submit(function, item) for item in islice(items, ahead))

    def results() -> Iterator[Result]:
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))

    found = results()
    # a process that fails ends only when its threads do, with all that they were asked for; a
    # `finally` in the generator would not run where the failure comes before the first result
    weakref.finalize(found, pool.shutdown, wait=False, cancel_futures=True)
    return found


def load_resized(
    file: Path, preprocessings: Mapping[str, Preprocessing], bits: int | None = None
) -> dict[str, np.ndarray]:
    """Decode a file once and resize it in every way.

    Parameters
    ----------
    preprocessings
        By name, from `canvas.with_canvas`.
    bits
        As in `load_image`.

    Returns
    -------
    dict of ndarray
        By the preprocessing's name, as from `resizing.preprocess`.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    image = load_image(file, bits)
    return {name: preprocess(image, entry) for name, entry in preprocessings.items()}


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
            stated = orientation(image)  # of a number that EXIF does not know, nothing is turned
            turned = shallow.transpose(TURNS[stated]) if stated in TURNS else shallow
            return turned.convert("L" if turned.mode in GREY_MODES else "RGB")
    except UNREADABLE as error:
        raise InputError(f"{file.resolve()}: cannot be decoded ({error})") from error


def load_rgb(file: Path, bits: int | None = None) -> Image.Image:
    """Read an image as 8-bit RGB, as `load_image` does; grey is replicated."""
    return load_image(file, bits).convert("RGB")


UPRIGHT = 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's number, what turns the stored image upright."""


def open_image(file: Path) -> Image.Image:
    """An image opened, as by Pillow, to be loaded right whatever its orientation."""
    image = Image.open(file)
    if image.format == "TIFF":
        image.filename = ""  # or Pillow 13 maps a turned TIFF into memory with its sides swapped
    return image


def orientation(image: Image.Image) -> int:
    """EXIF's number of how an opened image is stored, as far as Pillow has not applied it."""
    return image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a loaded image once it is upright."""
    width, height = image.size
    return (height, width) if orientation(image) in (5, 6, 7, 8) else (width, height)


SIGNATURE = b"\x89PNG\r\n\x1a\n"
IMAGE = frozenset({b"IHDR", b"IDAT", b"IEND"})
HARMLESS = frozenset(
    {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"tIME", b"bKGD", b"sBIT"} | {b"tEXt", b"iTXt"}
)
"""Chunks that leave Pillow's pixels as they are, texts that state an orientation apart."""

ORIENTATION = re.compile(rb"exif\0|tiff:Orientation|XML:com\.adobe\.xmp\0[^\0]")
"""In a text: EXIF, an orientation in XMP, or XMP that is compressed."""

GREY_OR_RGB = (0, 2)
"""PNG's numbers of those kinds of colour."""


def decode_plain_png(data: bytes) -> np.ndarray | None:
    """Pixels of a PNG of 8 bits, grey or RGB, without transparency or interlace.

    Parameters
    ----------
    data
        The file.

    Returns
    -------
    ndarray or None
        uint8, (height, width) or (height, width, 3); None for any other kind and for a damaged
        file, which are Pillow's to decode or to name.
    """
    if imagecodecs is None or not _is_plain(data):
        return None
    # libpng warns of an ancillary chunk whose checksum is wrong, where Pillow refuses the file
    if not all(kind in IMAGE or _is_harmless(kind, chunk) for kind, chunk in png_chunks(data)):
        return None
    try:
        return imagecodecs.png_decode(data)
    except (RuntimeError, ValueError):
        return None


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and whole bytes, with length and checksum, of each chunk of a PNG."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        yield kind, memoryview(data)[position:end]
        position = end


def may_be_turned(kind: bytes, chunk: memoryview) -> bool:
    """Whether a chunk may state an orientation: as EXIF, or as EXIF or XMP in a text."""
    is_text = kind in (b"tEXt", b"iTXt")
    return kind in (b"eXIf", b"zTXt") or (is_text and ORIENTATION.search(chunk) is not None)


def _is_plain(data: bytes) -> bool:
    if len(data) < 33 or data[:8] != SIGNATURE or data[12:16] != b"IHDR":
        return False
    width, height, depth, colour, _, _, interlace = struct.unpack_from(">II5B", data, 16)
    return (
        (depth, interlace) == (8, 0)
        and colour in GREY_OR_RGB
        and width * height <= (Image.MAX_IMAGE_PIXELS or 0)
    )


def _is_harmless(kind: bytes, chunk: memoryview) -> bool:
    """Whether a chunk is whole and has no say in the pixels."""
    is_whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
    return is_whole and kind in HARMLESS and not may_be_turned(kind, chunk)
