"""TIFF files of every kind, written entry by entry, without compression."""

import struct

import numpy as np

GREY_WHITE_ZERO, GREY, RGB = 0, 1, 2
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
SHORT, LONG = 3, 4
FORMATS = {"u": UNSIGNED, "i": SIGNED, "f": FLOAT}


def tiff(
    *pages: np.ndarray, photometric: int | None = None, planar: bool = False, order: str = "<"
) -> bytes:
    """A TIFF of pictures, (height, width) or (height, width, 3), of any type.

    Parameters
    ----------
    photometric
        How values are meant; by default grey of one channel, with 0 for black, or RGB.
    planar
        Whether colours lie one after another.
    order
        Of bytes: ``<`` or ``>``.
    """
    content = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    for number, page in enumerate(pages, 1):
        samples = np.atleast_3d(page)
        channels = samples.shape[2]
        planes = np.moveaxis(samples, 2, 0) if planar else samples[None]
        strips = [plane.astype(page.dtype.newbyteorder(order)).tobytes() for plane in planes]
        meant = (RGB if channels == 3 else GREY) if photometric is None else photometric
        entries = {
            256: [samples.shape[1]],
            257: [samples.shape[0]],
            258: [8 * page.dtype.itemsize] * channels,
            259: [1],
            262: [meant],
            273: [0] * len(strips),
            277: [channels],
            278: [samples.shape[0]],
            279: [len(strip) for strip in strips],
            284: [2 if planar else 1],
            339: [FORMATS[page.dtype.kind]] * channels,
        }
        content += _page(entries, strips, len(content), order, last=number == len(pages))
    return content


def _page(
    entries: dict[int, list[int]], strips: list[bytes], start: int, order: str, *, last: bool
) -> bytes:
    """A directory that begins at `start`, what is too long for it, and the strips."""
    beyond = start + 2 + 12 * len(entries) + 4
    longer = sum(4 * len(values) for values in entries.values() if len(values) > 1)
    place = beyond + longer
    entries[273] = []
    for strip in strips:
        entries[273].append(place)
        place += len(strip)
    directory, extra = struct.pack(f"{order}H", len(entries)), b""
    for tag, values in entries.items():
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, extra = struct.pack(f"{order}I", beyond + len(extra)), extra + packed
        directory += struct.pack(f"{order}HHI", tag, LONG, len(values)) + packed
    return directory + struct.pack(f"{order}I", 0 if last else place) + extra + b"".join(strips)
