"""The index of a category: one row per image, in the order of all later files."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from defectbench.storage import read_tsv, write_tsv


@dataclass(frozen=True)
class IndexRow:
    """One image of a category.

    Attributes
    ----------
    path
        Relative to the category's folder, with forward slashes.
    split
        ``train`` or ``test``.
    label
        0 for defect-free, 1 for defective.
    defect
        Defect type, ``good`` for none.
    mask
        Path of the ground-truth mask, empty for none.
    width, height
        Size in pixels; 0 where features were made elsewhere.
    mode
        Pillow's mode of the file, such as ``RGB`` or ``L``; empty where features were made
        elsewhere.
    sha256
        Of the file, or of the features that were made elsewhere.
    group
        Shared by the images of one part; empty for an image that is a group of its own.
    """

    path: str
    split: str
    label: int
    defect: str
    mask: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    group: str = ""


def write_index(path: Path, rows: Sequence[IndexRow]) -> None:
    """Store an index as TSV."""
    write_tsv(path, [field.name for field in fields(IndexRow)], map(astuple, rows))


def read_index(path: str | Path) -> list[IndexRow]:
    """Index written by `write_index`."""
    numbers = ("label", "width", "height")
    return [
        IndexRow(**{name: int(text) if name in numbers else text for name, text in row.items()})
        for row in read_tsv(path)
    ]


def images_digest(rows: Iterable[IndexRow]) -> str:
    """Digest of a category's images in order, whatever is said of them: 16 hexadecimal digits."""
    return hashlib.sha256("".join(row.sha256 for row in rows).encode()).hexdigest()[:16]


def dataset_digest(rows: Iterable[IndexRow]) -> str:
    """Digest of a category's images, names, splits and labels: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.path}\0{row.split}\0{row.label}\0{row.mask}\0{row.sha256}\n".encode())
    return digest.hexdigest()[:16]
