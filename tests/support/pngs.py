"""PNG files of every kind, written chunk by chunk."""

import struct
import zlib

import numpy as np

CHANNELS = {"grey": 1, "rgb": 3, "palette": 1, "grey+alpha": 2, "rgba": 4}
COLOURS = {"grey": 0, "rgb": 2, "palette": 3, "grey+alpha": 4, "rgba": 6}
DEPTHS = {
    "grey": (1, 2, 4, 8, 16),
    "rgb": (8, 16),
    "palette": (1, 2, 4, 8),
    "grey+alpha": (8, 16),
    "rgba": (8, 16),
}
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""First row and column of each pass, and the steps between its rows and columns."""


def png_chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def random_png(
    kind: str, depth: int, *, interlaced: bool = False, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG of 21×13 random samples, with further chunks before or after its pixels."""
    rng = np.random.default_rng(42)
    samples = rng.integers(0, 1 << depth, (13, 21, CHANNELS[kind]), np.uint16)
    header = struct.pack(">II5B", 21, 13, depth, COLOURS[kind], 0, 0, int(interlaced))
    passes = _passes(samples) if interlaced else [samples]
    rows = b"".join(b"\0" + _packed(row, depth) for part in passes for row in part)
    palette = png_chunk(b"PLTE", rng.bytes(3 << depth)) if kind == "palette" else b""
    return png_file(header, zlib.compress(rows), palette + before, after)


def png_file(header: bytes, pixels: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG of a header's content and of compressed rows, with chunks before and after these."""
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            before,
            png_chunk(b"IDAT", pixels),
            after,
            png_chunk(b"IEND", b""),
        ]
    )


def _passes(samples: np.ndarray) -> list[np.ndarray]:
    return [samples[top::down, left::right] for top, left, down, right in ADAM7]


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()
