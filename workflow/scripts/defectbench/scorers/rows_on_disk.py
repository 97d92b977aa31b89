"""A matrix that a scorer makes row by row, and that memory has no room for."""

import os
import tempfile
from collections.abc import Iterator

import numpy as np

from defectbench.memory import BLOCK_BYTES

LARGEST = 2 * BLOCK_BYTES
"""Matrices that stay in memory."""


class RowsOnDisk:
    """Rows in a temporary file, which is gone with the object; read by slices, as a `Layer`.

    It lies in the folder that ``TMPDIR`` names.

    Parameters
    ----------
    shape
        Number of rows, and of their entries.
    dtype
        Of the entries.
    """

    ndim = 2

    def __init__(self, shape: tuple[int, int], dtype: type) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as this)
        self._row_bytes = shape[1] * self.dtype.itemsize
        self._file.truncate(shape[0] * self._row_bytes)  # rows that nobody wrote read as zeros

    def __setitem__(self, rows: slice, values: np.ndarray) -> None:
        """Write consecutive rows."""
        self._file.seek(rows.start * self._row_bytes)
        self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self._file.flush()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Consecutive rows: (n_rows, width)."""
        start, stop, _ = rows.indices(len(self))
        found = np.empty((stop - start, self.shape[1]), self.dtype)
        room, offset = memoryview(found.reshape(-1).view(np.uint8)), start * self._row_bytes
        while room:  # one call reads at most 2 GB
            count = os.preadv(self._file.fileno(), [room], offset)
            room, offset = room[count:], offset + count
        return found


Rows = np.ndarray | RowsOnDisk


def new_rows(shape: tuple[int, int], dtype: type) -> Rows:
    """Room for a matrix: in memory, or on disk where it would take more than two blocks."""
    large = shape[0] * shape[1] * np.dtype(dtype).itemsize > LARGEST
    return RowsOnDisk(shape, dtype) if large else np.empty(shape, dtype)


def row_groups(rows: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """All rows of a matrix in memory at once, or of one on disk in groups of `BLOCK_BYTES`."""
    step = len(rows)
    if isinstance(rows, RowsOnDisk):
        step = max(1, BLOCK_BYTES // (rows.shape[1] * rows.dtype.itemsize))
    for start in range(0, len(rows), step):
        group = slice(start, min(start + step, len(rows)))
        yield group, rows[group]
