"""``maps.h5``: anomaly maps of a detector's test images and of good ones, by blocks of images.

It holds ``test``, ``held_out`` and, where there are such images, ``calibration``, float32,
(n_images, rows, columns), and the specification of the model that made them. A category's maps can
be larger than memory.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from defectbench.records import Specification
from defectbench.storage import create_array, create_h5, open_h5, read_attributes


class MapFile:
    """A file of maps that is being written, block by block.

    Attributes
    ----------
    folder
        Where it will be.
    """

    def __init__(self, file: h5py.File, folder: Path) -> None:
        self._file = file
        self.folder = folder

    def write(self, name: str, n_images: int, start: int, maps: np.ndarray) -> None:
        """Store maps of consecutive images.

        Parameters
        ----------
        name
            ``test``, ``calibration`` or ``held_out``.
        n_images
            Of that name in all.
        start
            Number of the first of these among them.
        maps
            float32, (n_maps, rows, columns).
        """
        if name not in self._file:
            create_array(self._file, name, (n_images, *maps.shape[1:]), maps.dtype)
        self._file[name][start : start + len(maps)] = maps


@contextlib.contextmanager
def create_maps(path: str | Path, specification: Specification) -> Iterator[MapFile]:
    """File that appears under its name when the block of this context ends without an error.

    Nothing is written into it of a detector that does not localize.
    """
    with create_h5(path, {"specification": specification}) as file:
        yield MapFile(file, Path(path).parent)


@contextlib.contextmanager
def open_maps(path: str | Path) -> Iterator[tuple[Mapping[str, h5py.Dataset], Specification]]:
    """Maps by name, to be read by slices as long as the block of this context lasts.

    With them comes the specification of the model that made them.
    """
    with open_h5(path) as file:
        yield dict(file), read_attributes(file)["specification"]
