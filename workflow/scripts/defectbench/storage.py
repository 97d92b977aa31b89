"""Files that are complete or absent: HDF5, JSON and TSV, byte-identical when made twice."""

import contextlib
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from defectbench.atomic import atomic_path
from defectbench.errors import InputError, is_about_memory

CHUNK_BYTES = 1 << 20
OWN_CHUNK_BYTES = 1 << 16
"""Rows of so many bytes have a chunk each: who reads some of them reads no others."""

READING = "synchronously (open|read)|Unable to"
"""Regular expression that matches HDF5's errors in reading, and none of those in writing."""

H5_FORMAT = ("v110", "v110")
"""Oldest and newest HDF5 that can read our files; older formats have no checksums of metadata."""


def create_array(file: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    """Empty dataset in chunks of whole rows, each with a checksum; large rows have one each.

    It gets its room in the file at once, so that the file's bytes do not depend on the order in
    which its arrays are filled.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    row_bytes = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
    rows = 1 if row_bytes >= OWN_CHUNK_BYTES else min(CHUNK_BYTES // row_bytes, shape[0])
    return file.create_dataset(
        name,
        shape,
        dtype,
        chunks=(rows, *shape[1:]),
        fletcher32=True,
        fill_time="alloc",
        dcpl=properties,
    )


@contextlib.contextmanager
def create_h5(path: str | Path, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """HDF5 file to fill; it appears under its name only when complete.

    Parameters
    ----------
    path
        The file.
    attributes
        What made it; each value is stored as JSON.
    """
    with atomic_path(path) as part, h5py.File(part, "w", libver=H5_FORMAT, locking=False) as file:
        write_attributes(file, attributes)
        yield file


@contextlib.contextmanager
def open_h5(path: str | Path) -> Iterator[h5py.File]:
    """HDF5 file opened read-only, without a lock (which shared filesystems may not have).

    Raises
    ------
    InputError
        If the file is damaged; the message says which one to delete.
    """
    advice = f"{path}: damaged or unreadable; delete it and run the same command again"
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        # a file that memory is too small for is sound
        if re.search(READING, str(error)) and not is_about_memory(error):
            raise InputError(f"{advice} ({error})") from error
        raise


def write_attributes(group: h5py.Group, attributes: Mapping[str, Any]) -> None:
    """Attributes of a file or of a group in it; each value is stored as JSON."""
    for name, value in attributes.items():
        group.attrs[name] = np.bytes_(json.dumps(value, sort_keys=True))  # ASCII


def read_attributes(group: h5py.Group) -> dict[str, Any]:
    """Attributes written by `create_h5` or `write_attributes`."""
    return {name: json.loads(value) for name, value in group.attrs.items()}


def write_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Store named arrays and what made them in one HDF5 file."""
    with create_h5(path, attributes) as file:
        for name, array in arrays.items():
            if array.ndim == 0:
                _create_scalar(file, name, array)
            else:
                stored = create_array(file, name, array.shape, array.dtype)
                step = stored.chunks[0]  # some arrays are on disk themselves, and read by slices
                for start in range(0, len(array), step):
                    stored[start : start + step] = array[start : start + step]


def _create_scalar(file: h5py.File, name: str, value: np.ndarray) -> None:
    """A number inside the metadata, whose checksum then covers it."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    kind, space = h5py.h5t.py_create(value.dtype), h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, properties))[()] = value


def read_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Named arrays and attributes of a file made by `write_arrays`."""
    with open_h5(path) as file:
        return {name: file[name][()] for name in file}, read_attributes(file)


def write_json(path: str | Path, value: Any) -> None:
    """Store a value as indented JSON; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_text(path: str | Path, text: str) -> None:
    """Store text, complete or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_tsv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Store rows as tab-separated values under a header."""
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file, by column name."""
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_tsv(path: str | Path) -> list[dict[str, str]]:
    """Rows of a TSV file, by column name."""
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
