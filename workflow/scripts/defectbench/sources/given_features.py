"""Features made elsewhere, as one file per category: HDF5 or npz with X, y and split."""

import contextlib
import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from defectbench.errors import InputError
from defectbench.images.index import IndexRow
from defectbench.memory import BLOCK_BYTES
from defectbench.names import unfit_path
from defectbench.sources.base import Source, existing_folder
from defectbench.stored_layer import StoredLayer

Layer = np.ndarray | StoredLayer
Arrays = Mapping[str, np.ndarray | h5py.Dataset]

SUFFIXES = (".h5", ".hdf5", ".npz")
BACKBONE = "given"
"""Takes the backbone's place in names of files and rows of tables."""


class GivenFeatures(Source):
    """Categories are the feature files of the folder `path`, by their names without suffix."""

    gives = "features"
    required = frozenset({"path", "methods"})
    optional = Source.optional | {"groups"}
    checked_before = True

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


@contextlib.contextmanager
def open_feature_file(path: str | Path) -> Iterator[tuple[Layer, list[IndexRow]]]:
    """Open and check a feature file.

    It holds ``X`` (n_images, n_dimensions), ``y`` (0 defect-free, 1 defective) and ``split``
    (``train``, ``test``, ``calibration``); optionally ``name``, ``defect`` and ``group`` of each
    image. Of an HDF5 file, ``X`` is read by blocks of images; of an npz file, at once.

    Yields
    ------
    ndarray or StoredLayer
        The features, whose values fit float32: (n_images, n_dimensions).
    list of IndexRow
        One row per image, in the same order, sorted by path.

    Raises
    ------
    InputError
        Naming the file and the array that is missing or wrong.
    """
    with contextlib.ExitStack() as opened:
        try:
            arrays = _arrays(Path(path), opened)
            if problem := _problem(arrays):
                raise InputError(f"{path}: {problem}")
            X = arrays["X"]
            X = X if isinstance(X, np.ndarray) else StoredLayer(X)
            digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in _checked_rows(X, path)]
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: cannot be read as a feature file ({error}); write it again"
            ) from error
        index = _index(digests, arrays)
        order = sorted(range(len(index)), key=lambda i: index[i].path)
        yield X.take(order, axis=0), [index[i] for i in order]


def blocks_of(X: Layer) -> Iterator[tuple[slice, np.ndarray]]:
    """Features block by block: float32, (n_rows, n_dimensions); what is too large is infinite."""
    step = max(1, BLOCK_BYTES // (X.shape[1] * np.dtype(X.dtype).itemsize))
    for start in range(0, len(X), step):
        rows = slice(start, min(start + step, len(X)))
        with np.errstate(over="ignore"):
            yield rows, X[rows].astype(np.float32)


def _checked_rows(X: Layer, path: str | Path) -> Iterator[np.ndarray]:
    """The rows of X, one by one; refuses one that is not finite."""
    for rows, values in blocks_of(X):
        for number, row in enumerate(values, rows.start):
            if not np.isfinite(row).all():
                raise InputError(f"{path}: row {number} of X is NaN, infinite or too large")
            yield row


def _problem(arrays: Arrays) -> str:
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
    if set(split) - {"calibration"} != {"train", "test"}:
        return f"split holds {sorted(set(split))[:5]}, expected both train and test"
    defective = {part for label, part in zip(y, split, strict=True) if label}
    if "train" in defective:
        return "a defective image is in train; detectors learn from defect-free ones"
    if "calibration" in defective:
        return "a defective image is in calibration; thresholds are set on good parts"
    for name in ("name", "defect", "group"):
        for text in _text(arrays[name]) if name in arrays else ():
            if why := unfit_path(text):
                return f"{name} holds {text!r}: {why}"
    if "name" in arrays and len({*zip(split, _text(arrays["name"]), strict=True)}) < len(X):
        return "name holds a name twice in one split"
    return ""


def _index(digests: Sequence[str], arrays: Arrays) -> list[IndexRow]:
    """One row per image, in the file's order."""
    count = len(digests)
    labels = [int(label) for label in arrays["y"]]
    columns = {
        "name": [f"{number:0{len(str(count))}}" for number in range(count)],
        "defect": [("good", "defective")[label] for label in labels],
        "group": [""] * count,
    }
    columns |= {name: _text(arrays[name]) for name in columns.keys() & arrays.keys()}
    return [
        IndexRow(f"{split}/{name}", split, label, defect, sha256=digest, group=group)
        for digest, split, label, name, defect, group in zip(
            digests, _text(arrays["split"]), labels, *columns.values(), strict=True
        )
    ]


def _arrays(path: Path, opened: contextlib.ExitStack) -> Arrays:
    """The known arrays of the file, X of an HDF5 file unread; no pickle is ever loaded."""
    names = ("X", "y", "split", "name", "defect", "group")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file}
    file = opened.enter_context(h5py.File(path, "r", locking=False))
    return {name: file[name] if name == "X" else file[name][()] for name in names if name in file}


def _text(array: np.ndarray) -> list[str]:
    return [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
