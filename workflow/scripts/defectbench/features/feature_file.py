"""The feature file of a category: a group per preprocessing and backbone, an array per layer.

Each image is decoded once for all groups, so one job writes the whole file. Beside the file lies a
second name of the last one that was finished: Snakemake deletes an output before its job starts,
and under the second name a job finds what earlier ones extracted, also after one that failed or
was killed. (Snakemake's own `update()` would restore the old file after a failure with the time of
that moment, and take it for current.)
"""

import contextlib
import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import h5py
import numpy as np

from defectbench.storage import open_h5, read_attributes


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

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any], weights: str) -> Self:
        """The pass that an entry of a rule's parameter ``passes`` describes."""
        taps = tuple(Tap(*tap) for tap in entry["taps"])
        return cls(**entry | {"weights": Path(weights), "taps": taps})

    @property
    def name(self) -> str:
        """Name of its group in a feature file."""
        return f"{self.preprocessing}/{self.backbone}"

    def without(self, taps: Container[Tap]) -> Self:
        """The same pass, some taps apart."""
        return self._replace(taps=tuple(tap for tap in self.taps if tap not in taps))

    @property
    def side(self) -> int:
        """Side of its images in pixels."""
        return self.settings.get("crop", self.settings["size"])


def kept_name(path: Path) -> Path:
    """Second name of a finished feature file."""
    return path.with_name(f".{path.stem}.kept{path.suffix}")


def open_kept(path: Path) -> contextlib.AbstractContextManager[Mapping[str, h5py.Group]]:
    """The last finished feature file by its groups; empty if there is none that can be opened."""
    try:
        return h5py.File(kept_name(path), "r", locking=False)
    except OSError:
        return contextlib.nullcontext({})


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
