"""The solar cells of the package elpv-dataset, in the MVTec layout."""

import importlib.util
from pathlib import Path
from typing import Any

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.index import Own, write_own
from defectbench.provenance import library_versions
from defectbench.sources.base import ImageSource, link

TYPES = {"monocrystalline": "mono", "polycrystalline": "poly"}

MODULES = 44
USUAL_CELLS = 60
OTHER_CELLS = {21: 54, 31: 50, 37: 72, 41: 48}
"""Cells of the modules that have not `USUAL_CELLS`, by the module's number in file order."""


class Elpv(ImageSource):
    """Cells with certain labels only, whole solar modules in either train or test.

    The package does not say which cells are of one module, but its files are in order of module:
    brightness and texture change abruptly every 60 cells, but for the modules in `OTHER_CELLS`.
    That makes 18 monocrystalline and 26 polycrystalline modules, the published numbers (Deitsch
    et al., Solar Energy 2019).

    Cells of one module look alike, so a category's modules go to train and test in turn: the
    tested modules are new to the detector. Defective cells of a training module are not used. The
    modules are the groups.
    """

    optional = ImageSource.optional - {"groups"}  # the module of each cell is known
    place = "the package elpv-dataset"

    def found(self) -> list[str]:
        return list(TYPES)

    def origin(self, category: str, contents: Contents) -> dict[str, str]:
        return library_versions("elpv-dataset")

    def lay_out(self, category: str, folder: Path, origin: Any) -> None:
        package = importlib.util.find_spec("elpv_dataset")
        if package is None or package.origin is None:
            raise InputError("dataset elpv: the package elpv-dataset is not installed")
        if category not in TYPES:
            raise InputError(f"dataset elpv: no category {category}; it has {', '.join(TYPES)}")
        data = Path(package.origin).parent / "data"
        cells = _cells(data / "labels.csv", TYPES[category])
        modules = sorted({module for module, _, _ in cells})
        own = {}
        for module, name, probability in cells:
            split = ("train", "test")[modules.index(module) % 2]
            if probability == 0 or (probability == 1 and split == "test"):
                path = Path(split, "defective" if probability else "good", Path(name).name)
                link(folder / path, data / name)
                own[path.as_posix()] = Own("", f"module{module:02}")
        write_own(folder, own)


def _cells(labels_csv: Path, wanted: str) -> list[tuple[int, str, float]]:
    """Module, file and probability of a defect of each cell of one type, in file order."""
    lines = labels_csv.read_text(encoding="utf-8").splitlines()
    numbers = range(1, MODULES + 1)
    modules = [n for n in numbers for _ in range(OTHER_CELLS.get(n, USUAL_CELLS))]
    return [
        (module, name, float(probability))
        for module, line in zip(modules, lines, strict=True)
        for name, probability, cell_type in [line.split()]
        if cell_type == wanted
    ]
