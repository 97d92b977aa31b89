"""The feature file of a category: a group per preprocessing and backbone, an array per layer.

Each image is decoded once for all groups, so one job writes the whole file. Beside the file lies a
second name of the last one that was finished: Snakemake deletes an output before its job starts,
and under the second name a job finds what earlier ones extracted, also after one that failed or
was killed. (Snakemake's own `update()` would restore the old file after a failure with the time of
that moment, and take it for current.)
"""

import contextlib
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from defectbench.storage import create_array, open_h5, read_attributes, write_attributes


class Tap(NamedTuple):
    """A layer's own output; a feature map average-pooled with window and stride `pool`."""

    layer: str
    pool: int

    @property
    def name(self) -> str:
        """Name of its array in a group of a feature file."""
        return f"{self.layer}/pool{self.pool}"


class Pass(NamedTuple):
    """One backbone over all images of a category in one preprocessing.

    Attributes
    ----------
    preprocessing
        Its name in the config.
    settings
        Its entry of ``preprocessings``.
    backbone
        As in the config.
    weights
        File of its weights.
    taps
        What is read from it.
    """

    preprocessing: str
    settings: Mapping[str, Any]
    backbone: str
    weights: Path
    taps: tuple[Tap, ...]

    @property
    def name(self) -> str:
        """Name of its group in a feature file."""
        return f"{self.preprocessing}/{self.backbone}"

    def without(self, taps: Container[Tap]) -> "Pass":
        """The same pass, some taps apart."""
        return self._replace(taps=tuple(tap for tap in self.taps if tap not in taps))

    @property
    def side(self) -> int:
        """Side of its images in pixels."""
        return self.settings.get("crop", self.settings["size"])


DAMAGE = (OSError, KeyError, RuntimeError, ValueError)
"""What h5py raises for an array that is absent or cannot be read."""


def kept_name(path: Path) -> Path:
    """Second name of a finished feature file."""
    return path.with_name(f".{path.stem}.kept{path.suffix}")


@contextlib.contextmanager
def open_kept(path: Path) -> Iterator[h5py.File | None]:
    """The last finished feature file; None if there is none that can be opened."""
    try:
        file = h5py.File(kept_name(path), "r", locking=False)
    except OSError:
        yield None
        return
    with file:
        yield file


def keep(path: Path) -> None:
    """Give a finished feature file its second name, which takes no room of its own."""
    new = kept_name(path).with_suffix(".part")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:  # a file system without links: the next job extracts everything
        kept_name(path).unlink(missing_ok=True)
    else:
        new.replace(kept_name(path))


def held_taps(
    kept: h5py.File | None,
    wanted: Pass,
    provenance: Mapping[str, Any],
    device: str,
    precision: str,
) -> tuple[Tap, ...]:
    """Those taps of a pass that a kept file holds whole, and made as they would be made now.

    Parameters
    ----------
    kept
        From `open_kept`.
    wanted
        The pass.
    provenance
        What decides its numbers, device and precision apart.
    device, precision
        As in the config. Under ``auto`` what an earlier job chose is as good.
    """
    if kept is None:
        return ()
    try:
        group = kept[wanted.name]
        made = dict(read_attributes(group)["provenance"])
        name, chosen = made.pop("device"), made.pop("precision")
    except DAMAGE:
        return ()
    kind = "cpu" if name == "CPU" else "cuda"
    if made != provenance or device not in ("auto", kind) or precision not in ("auto", chosen):
        return ()
    return tuple(tap for tap in wanted.taps if _is_whole(group, tap.name))


def _is_whole(group: h5py.Group, name: str) -> bool:
    try:
        for _ in read_blocks(group[name]):  # which checks the checksums
            pass
    except DAMAGE:
        return False
    return True


def read_blocks(array: h5py.Dataset) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of an array, a chunk at a time."""
    step = array.chunks[0]
    for start in range(0, len(array), step):
        rows = slice(start, min(start + step, len(array)))
        yield rows, array[rows]


def create_group(
    file: h5py.File,
    wanted: Pass,
    provenance: Mapping[str, Any],
    shapes: Mapping[Tap, tuple[int, ...]],
) -> None:
    """Make the group of a pass in a new file, its arrays still empty."""
    group = file.create_group(wanted.name)
    write_attributes(group, {"provenance": provenance})
    for tap in sorted(wanted.taps):
        create_array(group, tap.name, shapes[tap], "float32")


def read_layers(
    path: str | Path, group: str, names: Sequence[str]
) -> tuple[np.ndarray | list[np.ndarray], dict[str, Any]]:
    """What a method reads: arrays of a group, and what made them.

    Returns
    -------
    X : ndarray, or list of ndarray for several layers
        Of all images, in the order of the index.
    provenance : dict
        As `category.write_features` or the rule `import_features` stored it.
    """
    with open_h5(path) as file:
        layers = [file[group][name][()] for name in names]
        provenance = read_attributes(file[group])["provenance"]
    return layers if len(layers) > 1 else layers[0], provenance
