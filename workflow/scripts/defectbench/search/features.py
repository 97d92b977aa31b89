"""Features of the canvases that a search looks at, extracted part by part, within a bound."""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.asked_memory import tapped_bytes
from defectbench.errors import InputError
from defectbench.features.category import write_features
from defectbench.features.devices import Machine, prepared_extractors
from defectbench.features.feature_file import Pass
from defectbench.images.decoding import load_resized
from defectbench.images.index import IndexRow
from defectbench.storage import read_json, write_json

Key = tuple[str, str]
"""Name of a canvas, and a backbone."""

TIMED = 9
"""Images that are timed one by one."""

WHILE_JOINED = 2
"""How often features are on the disk while blocks are put together to a file."""


class SearchedFeatures:
    """Feature files, one for each canvas and backbone.

    Parameters
    ----------
    folder
        Receives them.
    images
        Folder of the category.
    index, parts
        Of the category; rows of each part.
    passes
        Everything that is ever read of a canvas and a backbone.
    provenances
        By the pass's name, as `category.write_features` takes them.
    machine, bits
        As there.
    most_bytes
        That the files may take.
    """

    def __init__(
        self,
        folder: Path,
        images: Path,
        index: Sequence[IndexRow],
        parts: Sequence[Sequence[int]],
        passes: Mapping[Key, Pass],
        provenances: Mapping[str, Mapping[str, Any]],
        machine: Machine,
        bits: int | None,
        most_bytes: float,
    ) -> None:
        self._folder, self._images, self._index, self._parts = folder, images, index, parts
        self.passes, self._provenances = passes, provenances
        self._machine, self._bits, self._most_bytes = machine, bits, most_bytes
        self._of_part: dict[Key, int] = {}

    def file(self, key: Key, number: int) -> Path:
        """The features of a part of the images, in the order of its rows.

        Raises
        ------
        InputError
            If there is no room for them within the bound, or an image cannot be used.
        """
        file, rows = self._file(key), self._parts[number]
        if self._of_part.get(key) == number:
            return file
        wanted = self.passes[key]
        self._check_room(key, len(rows))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_features(
            [(self._images / self._index[row].file, self._index[row].sha256) for row in rows],
            [wanted],
            {wanted.name: self._provenances[wanted.name]},
            self._machine,
            file,
            f"search {self._images.name} {wanted.name}",
            self._bits,
        )
        self._of_part[key] = number
        return file

    def milliseconds(self, key: Key) -> float:
        """From an image's file to its features: the median of some images, each by itself."""
        file = self._folder.parent / "milliseconds" / f"{'_'.join(key)}.json"
        if not file.is_file():
            write_json(file, self._timed(self.passes[key]))
        return read_json(file)

    def _timed(self, wanted: Pass) -> float:
        seconds = []
        with prepared_extractors([wanted], self._machine, batch=1) as (_, networks):
            for row in self._index[:: max(1, len(self._index) // TIMED)]:
                file, start = self._images / row.file, time.perf_counter()
                image = load_resized(file, {wanted.preprocessing: wanted.settings}, self._bits)
                networks[wanted.name]([image[wanted.preprocessing]], [file])
                seconds.append(time.perf_counter() - start)
        return 1000 * float(np.median(seconds))

    def keep_only(self, keys: Iterable[Key]) -> None:
        """Remove all others."""
        for key in self.passes.keys() - set(keys):
            shutil.rmtree(self._file(key).parent, ignore_errors=True)
            self._of_part.pop(key, None)

    def _file(self, key: Key) -> Path:
        return self._folder / "_".join(key) / "features.h5"

    def _check_room(self, key: Key, images: int) -> None:
        wanted, own = self.passes[key], self._file(key)
        entry = {"backbone": wanted.backbone, "taps": wanted.taps, "settings": wanted.settings}
        files = (file for file in self._folder.rglob("features.h5") if file != own)
        others = sum(file.stat().st_size for file in files)
        needed = WHILE_JOINED * images * tapped_bytes(entry) + others
        if needed > self._most_bytes:
            raise InputError(
                f"features of {wanted.name} take {needed / 1e9:.1f} GB with those that are there, "
                f"and DISK is {self._most_bytes / 1e9:g} GB"
            )
