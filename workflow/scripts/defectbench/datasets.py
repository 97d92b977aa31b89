"""The index of a category: every image of a folder in the MVTec layout, found and checked."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.provenance import file_sha256
from defectbench.storage import read_tsv, write_tsv

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
UNBOUNDED_MODES = frozenset({"I", "F"})


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
    """Find and check every image and mask of a category in the MVTec layout.

    Returns
    -------
    list of IndexRow
        Sorted by path.

    Raises
    ------
    InputError
        Listing everything that cannot be used, each with its file.
    """
    files = [*_image_files(folder, "train"), *_image_files(folder, "test")]
    problems = _layout_problems(folder, files)
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda file: _index_file(folder, file), files))
        rows = [result for result in results if isinstance(result, IndexRow)]
        problems += [result for result in results if isinstance(result, str)]
        if not problems:  # of an image that cannot be read, the size is not known either
            rows, mask_problems = _add_masks(folder, rows, pool)
            problems += mask_problems
    if problems:
        lines = "\n".join(f"  {_printable(line)}" for line in problems)
        raise InputError(f"{folder}: mend or remove\n{lines}")
    return sorted(rows, key=lambda row: row.path)


def training_images(folder: Path) -> list[Path]:
    """Files of a category's training images, not checked."""
    return _image_files(folder, "train")


def category_notes(folder: Path, rows: Sequence[IndexRow], counts_csv: Path) -> list[str]:
    """What is usable and yet worth knowing: odd sizes, copies, foreign files, missing images.

    Parameters
    ----------
    folder
        The category.
    rows
        Its index.
    counts_csv
        Official image counts of the dataset's categories; need not exist.
    """
    notes = _count_notes(folder.name, rows, counts_csv)
    sizes = Counter((row.width, row.height) for row in rows)
    (width, height), usual = sizes.most_common(1)[0]
    if len(sizes) > 1:
        odd = next(row.path for row in rows if (row.width, row.height) != (width, height))
        notes.append(f"{len(rows) - usual} images are not {width}×{height}, the first is {odd}")
    first_with: dict[str, str] = {}
    copies = []
    for row in rows:
        original = first_with.setdefault(row.sha256, row.path)
        if original != row.path:
            copies.append(f"{row.path} of {original}")
    if copies:
        notes.append(f"{len(copies)} images are copies of others: {', '.join(copies[:5])}")
    foreign = [file for split in ("train", "test") for file in _foreign_files(folder / split)]
    if foreign:
        first = foreign[0].relative_to(folder)
        notes.append(f"{len(foreign)} files are no images and are ignored, the first is {first}")
    return notes


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


def _image_files(folder: Path, split: str) -> list[Path]:
    """Images of all defect folders of a split; training images are those in ``good`` alone."""
    defects = [folder / split / "good"] if split == "train" else _visible(folder / split)
    return [
        file
        for defect in defects
        if defect.is_dir()
        for file in _visible(defect)
        if _is_image(file)
    ]


def _visible(folder: Path) -> list[Path]:
    """Entries of a folder, sorted, without hidden ones; none if there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if not entry.name.startswith("."))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def _foreign_files(split: Path) -> list[Path]:
    entries = [entry for folder in _visible(split) for entry in (folder, *_visible(folder))]
    return [entry for entry in entries if entry.is_file() and not _is_image(entry)]


def _layout_problems(folder: Path, files: Sequence[Path]) -> list[str]:
    """Images where the layout has no place for them, or names that mislead."""
    problems = [
        f"{folder / wanted}: no images"
        for wanted in ("train/good", "test")
        if not any(file.is_relative_to(folder / wanted) for file in files)
    ]
    for split in ("train", "test"):
        for entry in _visible(folder / split):
            if entry.is_file() and _is_image(entry):
                problems.append(f"{entry}: belongs in a folder, {split}/good or a defect type")
            elif entry.name != "good" and entry.name.casefold() == "good":
                problems.append(f"{entry}: only `good` in lower case means defect-free")
            elif split == "train" and entry.is_dir() and entry.name != "good":
                problems.append(f"{entry}: detectors are trained on train/good alone")
            problems += [
                f"{inner}: images in subfolders are not found"
                for inner in _visible(entry)
                if inner.is_dir()
            ]
    seen: dict[str, Path] = {}
    for file in files:
        twin = seen.setdefault(str(file).casefold(), file)
        if twin != file:
            problems.append(f"{file}: differs from {twin.name} in case alone; rename one")
    return problems


def _index_file(folder: Path, file: Path) -> IndexRow | str:
    """Row of one image, or what is wrong with it."""
    try:
        file.name.encode()
        with Image.open(file) as image:
            width, height, mode = *image.size, image.mode
            # a PNG's checksums show damage at a fraction of the time that decoding takes
            image.verify() if image.format == "PNG" else image.load()
        digest = file_sha256(file)
    except UnicodeEncodeError:
        return f"{file}: the name is not UTF-8"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{file}: cannot be read as an image ({error})"
    if mode in UNBOUNDED_MODES:
        return f"{file}: 32 bits per pixel have no known range; store 8 or 16 bits"
    split, defect = file.relative_to(folder).parts[:2]
    return IndexRow(
        path=file.relative_to(folder).as_posix(),
        split=split,
        label=int(defect != "good"),
        defect=defect,
        mask="",
        width=width,
        height=height,
        mode=mode,
        sha256=digest,
    )


def _add_masks(
    folder: Path, rows: Sequence[IndexRow], pool: ThreadPoolExecutor
) -> tuple[list[IndexRow], list[str]]:
    """Rows with their masks, and what is wrong with those: all of a defect's images or none."""
    masks = {
        (defect.name, file.stem.removesuffix("_mask")): file
        for defect in _visible(folder / "ground_truth")
        if defect.name != "good"
        for file in _visible(defect)
        if _is_image(file)
    }
    with_masks = {defect for defect, _ in masks}
    found, problems = [], []
    for row in rows:
        mask = masks.pop((row.defect, Path(row.path).stem), None) if row.label else None
        if mask is None and row.defect in with_masks:
            problems.append(
                f"{folder / row.path}: has no mask; to do without masks, remove "
                f"ground_truth/{row.defect}"
            )
        found.append(replace(row, mask=mask.relative_to(folder).as_posix() if mask else ""))
    problems += [f"{mask}: mask of no image" for mask in masks.values()]
    checked = [row for row in found if row.mask]
    problems += filter(None, pool.map(lambda row: _mask_problem(folder / row.mask, row), checked))
    return found, problems


def _mask_problem(file: Path, row: IndexRow) -> str:
    """What is wrong with a mask, empty for nothing."""
    try:
        with Image.open(file) as mask:
            size, marked = mask.size, bool(np.asarray(mask).any())
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{file}: cannot be read as a mask ({error})"
    if size != (row.width, row.height):
        return f"{file}: {size[0]}×{size[1]}, its image is {row.width}×{row.height}"
    return "" if marked else f"{file}: the mask marks nothing"


def _count_notes(category: str, rows: Sequence[IndexRow], counts_csv: Path) -> list[str]:
    """How the number of images differs from the official one."""
    if not counts_csv.is_file():
        return []
    with open(counts_csv, encoding="utf-8", newline="") as stream:
        official = {row["category"]: row for row in csv.DictReader(stream)}.get(category)
    if official is None:
        return []
    actual = {
        "train_good": sum(row.split == "train" for row in rows),
        "test_good": sum(row.split == "test" and not row.label for row in rows),
        "test_defective": sum(row.label for row in rows),
    }
    return [
        f"{name.replace('_', ' ')}: {count} images, officially {official[name]}"
        for name, count in actual.items()
        if count != int(official[name])
    ]


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
