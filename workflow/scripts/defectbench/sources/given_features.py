"""Features made elsewhere, as one file per category: HDF5 or npz with X, y and split."""

import hashlib
import zipfile
from pathlib import Path

import h5py
import numpy as np

from defectbench.errors import InputError
from defectbench.images.index import IndexRow
from defectbench.sources.base import Source, existing_folder

SUFFIXES = (".h5", ".hdf5", ".npz")
BACKBONE = "given"
"""Takes the backbone's place in names of files and rows of tables."""


class GivenFeatures(Source):
    """Categories are the feature files of the folder `path`, by their names without suffix."""

    gives = "features"
    required = frozenset({"path"})
    optional = Source.optional | {"groups"}

    def found(self) -> list[str]:
        return list(self.files())

    def files(self) -> dict[str, Path]:
        """Feature files by category, sorted.

        Raises
        ------
        InputError
            If there is no such folder, or a category has two files.
        """
        found: dict[str, Path] = {}
        for file in sorted(existing_folder(self.entry).iterdir()):
            if file.suffix in SUFFIXES and found.setdefault(file.stem, file) != file:
                raise InputError(f"{file}: a second file of category {file.stem}; keep one")
        return found


def read_feature_file(path: str | Path) -> tuple[np.ndarray, list[IndexRow]]:
    """Read and check a feature file.

    It holds ``X`` (n_images, n_dimensions), ``y`` (0 defect-free, 1 defective) and ``split``
    (``train`` or ``test``); optionally ``name``, ``defect`` and ``group`` of each image.

    Returns
    -------
    ndarray
        The features: float32, (n_images, n_dimensions).
    list of IndexRow
        One row per image, in the same order, sorted by path.

    Raises
    ------
    InputError
        Naming the file and the array that is missing or wrong.
    """
    arrays = _read_arrays(Path(path))
    if problem := _problem(arrays):
        raise InputError(f"{path}: {problem}")
    X = arrays["X"].astype(np.float32)
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise InputError(f"{path}: row {int(np.argmin(finite))} of X is NaN, infinite or too large")
    index = _index(X, arrays)
    order = sorted(range(len(index)), key=lambda i: index[i].path)
    return X[order], [index[i] for i in order]


def _problem(arrays: dict[str, np.ndarray]) -> str:
    """What is wrong with the arrays, empty for nothing."""
    missing = [name for name in ("X", "y", "split") if name not in arrays]
    if missing:
        return f"has no array {missing[0]}; it needs X, y and split"
    X, y, split = arrays["X"], arrays["y"], _text(arrays["split"])
    if X.ndim != 2 or X.size == 0 or X.dtype.kind not in "fiu":
        return f"X is {X.dtype} {X.shape}, expected numbers, images by dimensions"
    for name, array in arrays.items():
        if name != "X" and array.shape != (len(X),):
            return f"{name} has shape {array.shape}, expected ({len(X)},)"
    if set(y.tolist()) - {0, 1}:
        return f"y holds {sorted(set(y.tolist()))[:5]}, expected 0 and 1"
    if set(split) != {"train", "test"}:
        return f"split holds {sorted(set(split))[:5]}, expected both train and test"
    if any(label and part == "train" for label, part in zip(y, split, strict=True)):
        return "a defective image is in train; detectors learn from defect-free ones"
    if "name" in arrays and len({*zip(split, _text(arrays["name"]), strict=True)}) < len(X):
        return "name holds a name twice in one split"
    return ""


def _index(X: np.ndarray, arrays: dict[str, np.ndarray]) -> list[IndexRow]:
    """One row per image, in the file's order."""
    labels = [int(label) for label in arrays["y"]]
    columns = {
        "name": [f"{number:0{len(str(len(X)))}}" for number in range(len(X))],
        "defect": [("good", "defective")[label] for label in labels],
        "group": [""] * len(X),
    }
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in X]
    columns |= {name: _text(arrays[name]) for name in columns.keys() & arrays.keys()}
    return [
        IndexRow(f"{split}/{name}", split, label, defect, sha256=digest, group=group)
        for digest, split, label, name, defect, group in zip(
            digests, _text(arrays["split"]), labels, *columns.values(), strict=True
        )
    ]


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The known arrays of the file; no pickle is ever loaded."""
    names = ("X", "y", "split", "name", "defect", "group")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file}
        with h5py.File(path, "r", locking=False) as file:
            return {name: file[name][()] for name in names if name in file}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a feature file ({error})") from error


def _text(array: np.ndarray) -> list[str]:
    return [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
