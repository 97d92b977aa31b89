"""The index of a category: every image of a folder in the MVTec layout, found and checked."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from PIL import Image

from defectbench.errors import InputError
from defectbench.provenance import file_sha256
from defectbench.storage import read_tsv, write_tsv

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


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
        Size in pixels.
    mode
        Pillow's mode of the file, such as ``RGB`` or ``L``.
    sha256
        Of the file.
    """

    path: str
    split: str
    label: int
    defect: str
    mask: str
    width: int
    height: int
    mode: str
    sha256: str


def index_category(folder: Path) -> list[IndexRow]:
    """Find and check every image of a category in the MVTec layout.

    Returns
    -------
    list of IndexRow
        Sorted by path.

    Raises
    ------
    InputError
        Listing all files that cannot be used, or the missing folder.
    """
    files = [*_image_files(folder / "train", ["good"]), *_image_files(folder / "test")]
    problems: list[str] = []
    for wanted in ("train/good", "test"):
        if not any(file.relative_to(folder).as_posix().startswith(wanted) for file in files):
            problems.append(f"{folder / wanted}: no images")
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda file: _index_file(folder, file), files))
    problems += [result for result in results if isinstance(result, str)]
    if problems:
        raise InputError("unusable images:\n" + "\n".join(f"  {line}" for line in problems))
    rows = [result for result in results if isinstance(result, IndexRow)]
    return sorted(rows, key=lambda row: row.path)


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


def dataset_digest(rows: Iterable[IndexRow]) -> str:
    """Digest of a category's images, names, splits and labels: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.path}\0{row.split}\0{row.label}\0{row.mask}\0{row.sha256}\n".encode())
    return digest.hexdigest()[:16]


def _image_files(split: Path, defects: Sequence[str] | None = None) -> Iterator[Path]:
    if not split.is_dir():
        return
    for folder in sorted(split.iterdir()):
        if folder.is_dir() and (defects is None or folder.name in defects):
            for file in sorted(folder.iterdir()):
                if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("."):
                    yield file


def _index_file(folder: Path, file: Path) -> IndexRow | str:
    """Row of one image, or what is wrong with it."""
    try:
        with Image.open(file) as image:
            width, height, mode = *image.size, image.mode
            image.verify()
        digest = file_sha256(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{file}: cannot be read as an image ({error})"
    split, defect = file.relative_to(folder).parts[:2]
    label = int(defect != "good")
    mask = Path("ground_truth", defect, f"{file.stem}_mask.png")
    has_mask = label == 1 and (folder / mask).is_file()
    return IndexRow(
        path=file.relative_to(folder).as_posix(),
        split=split,
        label=label,
        defect=defect,
        mask=mask.as_posix() if has_mask else "",
        width=width,
        height=height,
        mode=mode,
        sha256=digest,
    )
