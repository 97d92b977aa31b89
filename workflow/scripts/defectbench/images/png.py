"""PNG files: damage that their checksums and rows tell of, and a fast decoder of the plain ones."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

try:
    import imagecodecs
except ImportError:  # where an exported detector is run: Pillow gives the same pixels
    imagecodecs = None

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DAMAGED = "the file is damaged, copy it again"

GREY, RGB, PALETTE = 0, 2, 3
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
"""By PNG's number of the kind of colour; 4 and 6 have an alpha channel."""

PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""Of an interlaced image: first row and column of each pass, steps between its rows and columns."""

MOST_FILTERED = 4
"""The largest number that a row may begin with: how it was filtered."""

PIXELS = frozenset({b"IHDR", b"IDAT", b"IEND"})
HARMLESS = frozenset(
    {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"tIME", b"bKGD", b"sBIT"} | {b"tEXt", b"iTXt"}
)
"""Chunks that leave Pillow's pixels as they are, texts that state an orientation apart."""

ORIENTATION = re.compile(rb"exif\0|tiff:Orientation|XML:com\.adobe\.xmp\0[^\0]")
"""In a text: EXIF, an orientation in XMP, or XMP that is compressed."""


class Header(NamedTuple):
    """What a PNG says of its pixels first."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlaced: int


def png_header(content: bytes) -> Header:
    """Header of a file that `check_chunks` has passed."""
    return Header(*struct.unpack_from(">II5B", content, 16))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and whole bytes, with length and checksum, of each chunk of a PNG up to its end."""
    position, kind = len(SIGNATURE), b""
    while position + 12 <= len(content) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        yield kind, memoryview(content)[position:end]
        position = end


def check_chunks(content: bytes) -> None:
    """Refuse a PNG of which a chunk is damaged, missing or not in its place.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    kinds = []
    for kind, chunk in png_chunks(content):
        if len(chunk) < 12 + int.from_bytes(chunk[:4], "big"):
            break
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            name = repr(kind)[2:-1]  # of damaged letters, too
            raise ValueError(f"the checksum of its part {name} is wrong: {DAMAGED}")
        if kind != b"IDAT" or kinds[-1:] != [kind]:
            kinds.append(kind)
    if kinds[-1:] != [b"IEND"]:
        raise ValueError(f"it is cut short: {DAMAGED}")
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or kinds.count(b"IDAT") != 1:
        raise ValueError("its parts are not those of one PNG image; save it again")
    if png_header(content).colour == PALETTE and b"PLTE" not in kinds:
        raise ValueError("its palette is missing; save it again")


def check_rows(content: bytes) -> None:
    """Refuse a PNG that has fewer rows than it says, which decoders fill with black.

    Parameters
    ----------
    content
        Of a file that `check_chunks` has passed, and whose size is one that can be decoded.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    header = png_header(content)
    bits = CHANNELS[header.colour] * header.depth
    places = PASSES if header.interlaced else ((0, 0, 1, 1),)
    sizes = [
        (len(range(top, header.height, down)), len(range(left, header.width, right)))
        for top, left, down, right in places
    ]
    shapes = [(rows, 1 + (columns * bits + 7) // 8) for rows, columns in sizes if columns]
    size = sum(rows * row_bytes for rows, row_bytes in shapes)
    chunks = (chunk[8:-4] for kind, chunk in png_chunks(content) if kind == b"IDAT")
    found = np.frombuffer(_inflated(b"".join(chunks), size), np.uint8)
    if len(found) < size:
        raise ValueError(f"{1 - len(found) / size:.0%} of its pixels are missing: {DAMAGED}")
    start = 0
    for rows, row_bytes in shapes:
        own = found[start : start + rows * row_bytes].reshape(rows, row_bytes)
        if (own[:, 0] > MOST_FILTERED).any():
            raise ValueError("its rows are filtered in a way that PNG does not have; save it again")
        start += rows * row_bytes


def _inflated(data: bytes, size: int) -> bytes:
    """So many bytes of a compressed stream, or fewer if it has no more."""
    if imagecodecs is not None:
        try:
            return imagecodecs.deflate_decode(data, out=size)  # several times faster
        except RuntimeError:
            pass  # below it is told what is wrong, or that there is merely more than is needed
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size)
        more = stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"its pixels cannot be unpacked ({error}): {DAMAGED}") from error
    if len(found) == size and not (stream.eof or more):
        raise ValueError(f"the checksum of its pixels is missing: {DAMAGED}")
    return found


def decode_plain_png(content: bytes) -> np.ndarray | None:
    """Pixels of a PNG of 8 bits, grey or RGB, without transparency, interlace or orientation.

    Parameters
    ----------
    content
        Of a file that `check_chunks` has passed.

    Returns
    -------
    ndarray or None
        uint8, (height, width) or (height, width, 3); None for any other kind, which is Pillow's to
        decode, and where `check_rows` has to say what is wrong.
    """
    header = png_header(content)
    plain = header.colour in (GREY, RGB) and (header.depth, header.interlaced) == (8, 0)
    is_small = header.width * header.height <= (Image.MAX_IMAGE_PIXELS or 0)
    if imagecodecs is None or not (plain and is_small) or may_be_turned(content):
        return None
    if not all(kind in PIXELS | HARMLESS for kind, _ in png_chunks(content)):
        return None
    try:
        return imagecodecs.png_decode(content)
    except (RuntimeError, ValueError):
        return None


def may_be_turned(content: bytes) -> bool:
    """Whether a PNG may state an orientation: as EXIF, or as EXIF or XMP in a text."""
    return any(
        kind in (b"eXIf", b"zTXt") or (kind in (b"tEXt", b"iTXt") and ORIENTATION.search(chunk))
        for kind, chunk in png_chunks(content)
    )
