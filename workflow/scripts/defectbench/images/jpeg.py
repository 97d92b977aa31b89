"""JPEG files: damage that their markers tell of. Libraries fill what is missing with grey."""

import re
import struct
from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from defectbench.images.png import DAMAGED

START = b"\xff\xd8"
SCAN, END = 0xDA, 0xD9
FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Of sequential and progressive images, whose scans consist of blocks of 8×8."""

INTERVAL = 0xDD
"""Says after how many units of a scan a restart marker stands."""

RESTARTS = range(0xD0, 0xD8)
ALONE = frozenset({0x01, 0xD8, *RESTARTS})
"""Markers that nothing belongs to."""

FIRST_SEGMENT = 0xC0
"""Smaller markers, 1 apart, are not used: where one stands, it is damaged data."""

MARKER = re.compile(rb"\xff+([^\x00\xff])")


class Segment(NamedTuple):
    """A marker, where what belongs to it begins, and that as far as its length says."""

    marker: int
    start: int
    body: bytes


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG without an end, or with fewer restart markers than its size asks for.

    Most damage shows in neither: a JPEG has no checksum.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    frame, interval = b"", 0
    for segment in _segments(content):
        if segment.marker in FRAMES:
            frame = segment.body
        elif segment.marker == INTERVAL:
            (interval,) = struct.unpack_from(">H", segment.body)
        elif segment.marker == SCAN and interval and frame:
            _check_restarts(content, segment, frame, interval)
        elif segment.marker == END:
            return
    raise ValueError(f"its end marker is missing: {DAMAGED}")


def _segments(content: bytes) -> Iterator[Segment]:
    """Markers of the first image of a file, those within scans apart."""
    position = len(START)
    while found := MARKER.search(content, position):
        marker, position = found[1][0], found.end()
        if marker in ALONE:
            continue
        if marker < FIRST_SEGMENT:
            raise ValueError(f"it holds the unknown marker {marker:#04x}: {DAMAGED}")
        length = int.from_bytes(content[position : position + 2], "big") if marker != END else 0
        yield Segment(marker, position + length, content[position + 2 : position + length])
        position += length


def _check_restarts(content: bytes, scan: Segment, frame: bytes, interval: int) -> None:
    """Refuse a scan whose restart markers are too few or out of order."""
    found = []
    for marker in MARKER.finditer(content, scan.start):
        if marker[1][0] not in RESTARTS:
            break
        found.append(marker[1][0])
    expected = max(0, ceil(_units(frame, scan.body) / interval) - 1)
    if found[:expected] != [RESTARTS[number % 8] for number in range(expected)]:
        raise ValueError(f"of {expected} restart markers some are missing: {DAMAGED}")


def _units(frame: bytes, scan: bytes) -> int:
    """Units that a scan codes: of several components, blocks of all of them together."""
    _, height, width, number = struct.unpack_from(">BHHB", frame)
    factors = {
        frame[6 + 3 * place]: divmod(frame[7 + 3 * place], 16) for place in range(number)
    }  # by the component's name: blocks of a unit across and down
    across, down = (max(each) for each in zip(*factors.values(), strict=True))
    if scan[0] > 1:
        return ceil(width / (8 * across)) * ceil(height / (8 * down))
    own = factors[scan[1]]
    columns, rows = ceil(width * own[0] / across), ceil(height * own[1] / down)
    return ceil(columns / 8) * ceil(rows / 8)
