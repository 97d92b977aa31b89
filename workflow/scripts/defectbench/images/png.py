"""PNG files that imagecodecs decodes to Pillow's pixels, in two thirds to five sixths of its time.

Its PNG decoder spends most of its time in zlib. libdeflate, which imagecodecs has too, takes three
fifths of that, so it decompresses, and the decoder is given the rows as they then are.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

try:
    import imagecodecs
except ImportError:  # where an exported detector is run: Pillow gives the same pixels
    imagecodecs = None

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IMAGE = frozenset({b"IHDR", b"IDAT", b"IEND"})
HARMLESS = frozenset(
    {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"tIME", b"bKGD", b"sBIT"} | {b"tEXt", b"iTXt"}
)
"""Chunks that leave Pillow's pixels as they are, texts that state an orientation apart."""

ORIENTATION = re.compile(rb"exif\0|tiff:Orientation|XML:com\.adobe\.xmp\0[^\0]")
"""In a text: EXIF, an orientation in XMP, or XMP that is compressed."""

CHANNELS = {0: 1, 2: 3}
"""By PNG's number of a kind of colour: of grey and of RGB."""


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
    chunks = list(png_chunks(data))
    if not all(kind in IMAGE or _is_harmless(kind, chunk) for kind, chunk in chunks):
        return None
    image = [(kind, chunk) for kind, chunk in chunks if kind in IMAGE]
    try:
        return imagecodecs.png_decode(_decompressed(data, image))
    except (RuntimeError, ValueError):
        return None


def _decompressed(data: bytes, chunks: Sequence[tuple[bytes, memoryview]]) -> bytes:
    """A plain PNG, of those chunks alone that make its pixels, with its rows not compressed.

    Raises
    ------
    ValueError, RuntimeError
        If it ends early, a checksum is wrong, or there are more or fewer rows than it says.
    """
    if chunks[-1][0] != b"IEND" or not all(_has_its_checksum(chunk) for _, chunk in chunks):
        raise ValueError("damaged")
    width, height, _, colour = struct.unpack_from(">II2B", data, 16)
    size = height * (1 + width * CHANNELS[colour])
    body = b"".join(chunk[8:-4] for kind, chunk in chunks if kind == b"IDAT")
    rows = imagecodecs.deflate_decode(body, raw=False, out=size)
    if len(rows) != size:
        raise ValueError("rows are missing")
    stored = _chunk(b"IDAT", zlib.compress(rows, 0))
    return b"".join([SIGNATURE, chunks[0][1], *stored, chunks[-1][1]])


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, ...]:
    """Length, type, content and checksum of a chunk."""
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)), kind, body, struct.pack(">I", checksum)


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
        and colour in CHANNELS
        and width * height <= (Image.MAX_IMAGE_PIXELS or 0)
    )


def _is_harmless(kind: bytes, chunk: memoryview) -> bool:
    """Whether a chunk is whole and has no say in the pixels."""
    return kind in HARMLESS and not may_be_turned(kind, chunk) and _has_its_checksum(chunk)


def _has_its_checksum(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
