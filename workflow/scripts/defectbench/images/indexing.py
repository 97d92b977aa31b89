"""Find and check every image of a category, and note what is usable but unusual."""

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images.decoding import (
    TURNS,
    UNREADABLE,
    may_be_turned,
    open_image,
    orientation,
    png_chunks,
    upright_size,
)
from defectbench.images.depth import is_deep, unexplained_highest
from defectbench.images.groups import OWN, assign_groups
from defectbench.images.index import IndexRow
from defectbench.images.layout import (
    foreign_files,
    image_files,
    is_image,
    visible,
    with_users_paths,
)
from defectbench.images.masks import add_masks

WITHOUT_TEST = "; `good: train/good` in the dataset's settings sets a quarter of those aside"
UNBOUNDED_MODES = frozenset({"I", "F"})
CAMERA_BITS = (10, 12, 14)


class Checked(NamedTuple):
    """An image that can be used.

    Attributes
    ----------
    row
        Its row, the mask apart.
    turned
        Whether the file states an orientation other than upright.
    highest
        Highest value of a 16-bit file whose range nobody states; 0 for other files.
    """

    row: IndexRow
    turned: bool
    highest: int


def examine_category(
    folder: Path, bits: int | None, counts_csv: str | Path | None
) -> tuple[list[IndexRow], list[str]]:
    """Index of a category with the groups that its source knows, and all that is worth knowing.

    Parameters and errors are those of `index_category` and `category_notes`.
    """
    rows, notes = index_category(folder, bits=bits)
    if (folder / OWN).is_file():
        rows = assign_groups(rows, {"csv": str(folder / OWN)}, folder.name)
    return rows, notes + category_notes(folder, rows, counts_csv)


def index_category(
    folder: Path, *, strict_masks: bool = False, bits: int | None = None
) -> tuple[list[IndexRow], list[str]]:
    """Find and check every image and mask of a category in the MVTec layout.

    Parameters
    ----------
    folder
        The category.
    strict_masks
        Whether faults of masks are problems; otherwise notes, and the masks are left out.
    bits
        Bits that values of 16-bit files use, if the config says so.

    Returns
    -------
    list of IndexRow
        Sorted by path.
    list of str
        Notes that need the files and not the index alone: orientations, bits, masks.

    Raises
    ------
    InputError
        If anything cannot be used; the message lists all of it, each with its file.
    """
    files = [*image_files(folder, "train"), *image_files(folder, "test")]
    problems = _layout_problems(folder, files)
    notes = []
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda file: _check_file(folder, file, bits), files))
        checked = [result for result in results if isinstance(result, Checked)]
        problems += [result for result in results if isinstance(result, str)]
        rows = [image.row for image in checked]
        if not problems:  # of an image that cannot be read, the size is not known either
            rows, faults = add_masks(folder, rows, pool)
            problems += faults.problems(folder) if strict_masks else []
            notes = orientation_notes([image.row for image in checked if image.turned])
            notes += range_notes([image.highest for image in checked if image.highest])
            notes += faults.notes()
    if problems:
        lines = "\n".join(f"  {_printable(line)}" for line in problems)
        raise InputError(with_users_paths(f"{folder}: mend or remove\n{lines}", folder))
    return sorted(rows, key=lambda row: row.path), notes


def _layout_problems(folder: Path, files: Sequence[Path]) -> list[str]:
    """Missing images, images outside the layout's folders, and names that mislead."""
    problems = [
        f"{folder / wanted}: no images{advice}"
        for wanted, advice in (("train/good", ""), ("test", WITHOUT_TEST))
        if not any(file.is_relative_to(folder / wanted) for file in files)
    ]
    for split in ("train", "test"):
        for entry in visible(folder / split):
            if entry.is_file() and is_image(entry):
                problems.append(f"{entry}: belongs in a folder, {split}/good or a defect type")
            elif entry.name != "good" and entry.name.casefold() == "good":
                problems.append(f"{entry}: only `good` in lower case means defect-free")
            elif split == "train" and entry.is_dir() and entry.name != "good":
                problems.append(f"{entry}: detectors are trained on train/good alone")
            problems += [
                f"{inner}: images in subfolders are not found"
                for inner in visible(entry)
                if inner.is_dir()
            ]
    seen: dict[str, Path] = {}
    for file in files:
        twin = seen.setdefault(str(file).casefold(), file)
        if twin != file:
            problems.append(f"{file}: differs from {twin.name} in case alone; rename one")
    return problems


def _check_file(folder: Path, file: Path, bits: int | None) -> Checked | str:
    """One image checked, or what is wrong with it."""
    try:
        file.name.encode()
        content = file.read_bytes()
        mode, (width, height), turned, highest = _inspect(file, content, bits)
    except UnicodeEncodeError:
        return f"{file}: the name is not UTF-8"
    except UNREADABLE as error:
        return f"{file}: cannot be read as an image ({error})"
    if mode in UNBOUNDED_MODES:
        return f"{file}: 32 bits per pixel have no known range; store 8 or 16 bits"
    split, defect = file.relative_to(folder).parts[:2]
    row = IndexRow(
        path=file.relative_to(folder).as_posix(),
        split=split,
        label=int(defect != "good"),
        defect=defect,
        mask="",
        width=width,
        height=height,
        mode=mode,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return Checked(row, turned, highest)


def _inspect(
    file: Path, content: bytes, bits: int | None
) -> tuple[str, tuple[int, int], bool, int]:
    """Mode, upright size, whether turned, highest value of unknown range; damage raises."""
    with open_image(file) as image:
        mode, size, deep = image.mode, image.size, is_deep(image)
        if image.format == "PNG":
            image.verify()  # checksums show damage at a fraction of the time that decoding takes
            turnable = any(may_be_turned(kind, chunk) for kind, chunk in png_chunks(content))
            if not deep and not turnable:
                return mode, size, False, 0
    with open_image(file) as image:
        turned = orientation(image) in TURNS
        highest = unexplained_highest(image, file, bits) if deep else 0
        image.load()
        return mode, upright_size(image), turned, highest


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def category_notes(
    folder: Path, rows: Sequence[IndexRow], counts_csv: str | Path | None
) -> list[str]:
    """Notes from an index and its folder: odd sizes and modes, copies, missing images.

    Parameters
    ----------
    folder
        The category.
    rows
        Its index.
    counts_csv
        Official image counts of the dataset's categories, if there are any.
    """
    notes = [*_count_notes(folder.name, rows, counts_csv), *_size_notes(rows), *_mode_notes(rows)]
    first_with: dict[str, str] = {}
    copies = []
    for row in rows:
        original = first_with.setdefault(row.sha256, row.path)
        if original != row.path:
            copies.append(f"{row.path} of {original}")
    if copies:
        notes.append(f"{len(copies)} images are copies of others: {', '.join(copies[:5])}")
    foreign = [file for split in ("train", "test") for file in foreign_files(folder / split)]
    if foreign:
        first = foreign[0].relative_to(folder)
        notes.append(f"{len(foreign)} files are no images and are ignored, the first is {first}")
    return notes


def orientation_notes(turned: Sequence[IndexRow]) -> list[str]:
    """How many files state an orientation other than upright."""
    if not turned:
        return []
    return [f"{len(turned)} images are turned as their files say, the first is {turned[0].path}"]


def range_notes(highest_values: Sequence[int]) -> list[str]:
    """Whether 16-bit files of unknown range look as if they held fewer bits.

    Parameters
    ----------
    highest_values
        Of each such file.
    """
    highest = max(highest_values, default=0)
    if not highest or highest >> CAMERA_BITS[-1]:
        return []
    found = f"values up to {highest} in 16-bit files"
    if highest < 256:
        return [f"{found}, which come out black: store them in 8 bits"]
    bits = next(bits for bits in CAMERA_BITS if highest < 1 << bits)
    return [f"{found}: looks like {bits} bits; set `bits: {bits}`"]


def _size_notes(rows: Sequence[IndexRow]) -> list[str]:
    sizes = Counter((row.width, row.height) for row in rows)
    (width, height), usual = sizes.most_common(1)[0]
    notes = []
    if len(sizes) > 1:
        odd = next(row.path for row in rows if (row.width, row.height) != (width, height))
        notes.append(f"{len(rows) - usual} images are not {width}×{height}, the first is {odd}")
    if width != height:
        notes.append(f"{width}×{height} images are squashed to a square where no aspect is set")
    return notes


def _mode_notes(rows: Sequence[IndexRow]) -> list[str]:
    modes = Counter(row.mode for row in rows)
    notes = []
    if len(modes) > 1:
        listed = ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
        notes.append(f"images of several kinds in one category: {listed}")
    transparent = sum(count for mode, count in modes.items() if mode.endswith(("A", "a")))
    if transparent:
        notes.append(f"{transparent} images have an alpha channel, which is dropped")
    return notes


def _count_notes(
    category: str, rows: Sequence[IndexRow], counts_csv: str | Path | None
) -> list[str]:
    """How the number of images differs from the official one."""
    if not counts_csv:
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
