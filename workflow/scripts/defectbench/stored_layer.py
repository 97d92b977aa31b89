"""Features on disk that are read by blocks of images."""

from collections.abc import Iterator, Sequence
from typing import Self

import h5py
import numpy as np


class StoredLayer:
    """Features of one layer in an open feature file, read when images are asked for.

    It has the surface of an array that scorers use: ``shape``, ``dtype``, ``ndim``, ``len``,
    slices of images, and `take`.

    Parameters
    ----------
    dataset
        (n_images, …), float16, float32 or float64.
    rows
        int64, (n_rows,): which images, in any order; all of them by default.
    """

    def __init__(self, dataset: h5py.Dataset, rows: np.ndarray | None = None) -> None:
        self._dataset = dataset
        self._rows = np.arange(len(dataset)) if rows is None else rows
        self.shape = (len(self._rows), *dataset.shape[1:])
        self.ndim = dataset.ndim
        self.dtype = np.result_type(dataset.dtype, np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, images: slice) -> np.ndarray:
        """Features of some images: an array of `dtype`, (n_images, …)."""
        rows = self._rows[images]
        order = np.argsort(rows, kind="stable")  # a chunk of many images is read once
        found = np.empty((len(rows), *self.shape[1:]), self._dataset.dtype)
        for first, stop in _runs(rows[order]):
            start = rows[order[first]]
            source = np.s_[start : start + stop - first]
            self._dataset.read_direct(found, source, np.s_[first:stop])
        if (np.diff(order) < 0).any():
            found = found[np.argsort(order)]
        return found.astype(self.dtype, copy=False)

    def take(self, rows: np.ndarray | Sequence[int], axis: int = 0) -> Self:
        """Some images, in any order, by their numbers; nothing is read yet.

        Parameters
        ----------
        rows
            Integers, (n_rows,).
        axis
            0, as in NumPy's method of that name.
        """
        if axis != 0:
            raise ValueError("features on the disk are taken by images, along axis 0")
        return type(self)(self._dataset, self._rows[np.asarray(rows, int)])


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where each run of successive numbers starts and stops."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return zip([0, *breaks], [*breaks, len(rows)], strict=True) if len(rows) else iter(())
