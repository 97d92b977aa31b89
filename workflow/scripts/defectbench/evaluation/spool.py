"""Arrays that wait on disk for their turn, so that memory holds a few of them at a time."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np


class _Place(NamedTuple):
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


class Spool:
    """Sequence of arrays in a temporary file, which has no name: no kill leaves it behind.

    Parameters
    ----------
    folder
        Where there is room for them. By default the system's folder of temporary files, which may
        be in memory.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, open as long as it lasts
        self._places: list[_Place] = []

    def append(self, array: np.ndarray) -> None:
        """Add one at the end."""
        array = np.ascontiguousarray(array)
        self._places.append(_Place(self._file.seek(0, 2), array.shape, array.dtype))
        self._file.write(array)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> np.ndarray:
        """One of them, read anew each time."""
        place = self._places[number]
        return self._read(place.offset, place.shape, place.dtype)

    def part(self, number: int, start: int, stop: int) -> np.ndarray:
        """Some entries of a vector."""
        place = self._places[number]
        return self._read(place.offset + start * place.dtype.itemsize, (stop - start,), place.dtype)

    def _read(self, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        array = np.empty(shape, dtype)
        self._file.seek(offset)
        self._file.readinto(array)
        return array

    @property
    def dtype(self) -> np.dtype:
        """Of an array that can hold the entries of any of them."""
        return np.result_type(*{place.dtype for place in self._places})

    @property
    def sizes(self) -> np.ndarray:
        """Number of entries of each array, int64, (n_arrays,)."""
        return np.array([np.prod(place.shape, dtype=int) for place in self._places], int)

    def take(self, numbers: Sequence[int] | np.ndarray) -> Self:
        """Some of the arrays as a sequence of its own; nothing is read or copied."""
        part = object.__new__(type(self))
        part._file, part._places = self._file, [self._places[number] for number in numbers]
        return part
