"""Features that jobs have finished: what one that fails or is killed leaves to the next.

Beside a feature file lie ``.features.kept.h5``, a second name of the last one that was finished
(Snakemake deletes an output before its job starts), and, until the next one is, the folder
``.features.blocks`` with a small file for each block of images. Both are made alike: a group for
each pass, with what made it, an array per tap, and in ``sha256`` the digest of each row's image. So
features are found again wherever their image stands in the index.

(Snakemake's own `update()` would restore the old file after a failure with the time of that moment,
and take it for current.)
"""

import contextlib
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from defectbench.features.feature_file import Made, Pass, Tap
from defectbench.storage import create_array, create_h5, open_h5, read_attributes, write_attributes
from defectbench.stored_layer import StoredLayer

IMAGES = "sha256"
OF_ALL_IMAGES = "images_sha256"
"""In a provenance: which images the whole file is of. It says nothing of a row."""

DAMAGE = (OSError, KeyError, RuntimeError, ValueError)
"""What h5py raises for an array that is absent or cannot be read."""

COPIED_BYTES = 1 << 24
"""Read at once of rows that are copied."""


class Row(NamedTuple):
    """Place of an image's features."""

    file: Path
    number: int


class Block(NamedTuple):
    """Features of some images from one pass.

    Attributes
    ----------
    provenance
        What decides them, device and precision apart.
    made
        Device and precision.
    images
        SHA-256 of each image's file.
    arrays
        By the tap's name: float16 or float32, (n_images, …).
    """

    provenance: Mapping[str, Any]
    made: Made
    images: Sequence[str]
    arrays: Mapping[str, np.ndarray]


class Finished:
    """Rows of one pass that are there, by what made them.

    Parameters
    ----------
    wanted
        The pass.
    provenance
        What decides its numbers, device and precision apart.
    files
        Feature files and blocks that earlier jobs have left.
    """

    def __init__(self, wanted: Pass, provenance: Mapping[str, Any], files: Iterable[Path]) -> None:
        self._taps = wanted.taps
        self._rows: defaultdict[Made, defaultdict[str, dict[str, Row]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for file in files:
            with contextlib.suppress(*DAMAGE), h5py.File(file, "r", locking=False) as opened:
                group = opened[wanted.name]
                found = read_attributes(group)["provenance"]
                made = Made(found.pop("device"), found.pop("precision"))
                if _of_rows(found) == _of_rows(provenance):
                    self._add_whole_rows(made, file, group)

    def _add_whole_rows(self, made: Made, file: Path, group: h5py.Group) -> None:
        images = [bytes(digest).hex() for digest in group[IMAGES][()]]
        for tap in self._taps:
            array = group.get(tap.name)
            for chunk in () if array is None else array.iter_chunks():
                with contextlib.suppress(*DAMAGE):
                    _ = array[chunk]  # HDF5 compares the checksum of what it reads
                    for number in range(chunk[0].start, chunk[0].stop):
                        self._rows[made][tap.name][images[number]] = Row(file, number)

    def add(self, file: Path, block: Block) -> None:
        """Add a block that this job has written."""
        for name in block.arrays:
            for number, image in enumerate(block.images):
                self._rows[block.made][name][image] = Row(file, number)

    def all_made(self) -> list[Made]:
        """Where and how the rows were computed."""
        return list(self._rows)

    def missing(self, made: Made | None, images: Sequence[str]) -> dict[Tap, list[int]]:
        """Numbers of the images whose features are not there, of each tap that lacks any."""
        rows = {} if made is None else self._rows[made]
        lacking = {
            tap: [n for n, image in enumerate(images) if image not in rows.get(tap.name, {})]
            for tap in self._taps
        }
        return {tap: numbers for tap, numbers in lacking.items() if numbers}

    def write(
        self, group: h5py.Group, provenance: Mapping[str, Any], made: Made, images: Sequence[str]
    ) -> None:
        """Write a pass of the feature file from rows that are all there."""
        _write_head(group, provenance, made, images)
        for tap in sorted(self._taps):
            rows = [self._rows[made][tap.name][image] for image in images]
            _copy_rows(rows, group, tap.name)


def _of_rows(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in provenance.items() if name != OF_ALL_IMAGES}


def _write_head(
    group: h5py.Group, provenance: Mapping[str, Any], made: Made, images: Sequence[str]
) -> None:
    write_attributes(group, {"provenance": {**provenance, **made._asdict()}})
    digests = np.array([list(bytes.fromhex(image)) for image in images], np.uint8)
    create_array(group, IMAGES, digests.shape, np.uint8)[...] = digests


def _copy_rows(rows: Sequence[Row], group: h5py.Group, name: str) -> None:
    """Make an array of rows that lie elsewhere, some at a time: all might not fit into memory."""
    array, done = None, 0
    for file, members in groupby(rows, key=lambda row: row.file):
        with open_h5(file) as opened:
            source = opened[f"{group.name}/{name}"]
            layer = StoredLayer(source, np.array([row.number for row in members]))
            if array is None:
                array = create_array(group, name, (len(rows), *source.shape[1:]), source.dtype)
            step = max(1, COPIED_BYTES // source[:1].nbytes)
            for start in range(0, len(layer), step):
                values = layer[start : start + step].astype(source.dtype, copy=False)
                array[done : done + len(values)] = values
                done += len(values)


def write_block(folder: Path, blocks: Mapping[str, Block]) -> Path:
    """Store a block of images, by the passes' names; returns its file."""
    path = folder / f"{secrets.token_hex(8)}.h5"
    with create_h5(path, {}) as file:
        for name, block in blocks.items():
            group = file.create_group(name)
            _write_head(group, _of_rows(block.provenance), block.made, block.images)
            for tap, values in block.arrays.items():
                create_array(group, tap, values.shape, values.dtype)[...] = values
    return path


def claim_blocks(output: Path) -> Path:
    """A folder of this job's own, with the blocks that earlier jobs have left.

    A job whose Snakemake was killed may still be at work: it misses its blocks in the end and
    fails, and this one goes on undisturbed.
    """
    shared = _blocks_folder(output)
    own = shared / secrets.token_hex(4)
    own.mkdir(parents=True)
    for other in [folder for folder in shared.iterdir() if folder != own]:
        for block in other.glob("*.h5"):
            with contextlib.suppress(FileNotFoundError):
                block.rename(own / block.name)
        shutil.rmtree(other, ignore_errors=True)
    return own


def keep(output: Path, own: Path) -> None:
    """Give a finished feature file its second name, which takes no room; its blocks go.

    Parameters
    ----------
    output
        The file.
    own
        From `claim_blocks`.
    """
    new = kept_name(output).with_suffix(".part")
    new.unlink(missing_ok=True)
    try:
        os.link(output, new)
    except OSError:  # a file system without links: the next job extracts everything
        kept_name(output).unlink(missing_ok=True)
    else:
        new.replace(kept_name(output))
    shutil.rmtree(own, ignore_errors=True)
    with contextlib.suppress(OSError):  # another job has begun
        own.parent.rmdir()


def kept_name(path: Path) -> Path:
    """Second name of a finished file."""
    return path.with_name(f".{path.stem}.kept{path.suffix}")


def _blocks_folder(output: Path) -> Path:
    return output.with_name(f".{output.stem}.blocks")
