"""Find and check every image of a category, and note what is usable but unusual."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images import decoding, layout
from defectbench.images.canvas import (
    ALIKE,
    Preprocessing,
    canvas,
    covers,
    distortion,
    with_canvas,
    without_tiles,
)
from defectbench.images.depth import is_deep, unexplained_highest
from defectbench.images.index import OWN, IndexRow, assign_groups, review_notes
from defectbench.images.masks import add_masks
from defectbench.storage import read_csv

WITHOUT_TEST = "; `good: train/good` in the dataset's settings sets a quarter of those aside"
UNBOUNDED_MODES = frozenset({"I", "F"})
CAMERA_BITS = (10, 12, 14)
COUNTED = {"train_good": ("train", 0), "test_good": ("test", 0), "test_defective": ("test", 1)}
"""Columns of official counts: the split and the label of the images that they count."""


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
    folder: Path,
    bits: int | None,
    counts_csv: str | Path | None,
    preprocessings: Mapping[str, Preprocessing],
) -> tuple[list[IndexRow], list[str]]:
    """Index of a category with the groups that its source knows, and all that is worth knowing.

    Parameters and errors are those of `index_category` and `category_notes`.
    """
    rows, notes = index_category(folder, bits)
    if (folder / OWN).is_file():
        rows = assign_groups(rows, {"csv": str(folder / OWN)}, folder.name)
    return rows, notes + category_notes(folder, rows, counts_csv, preprocessings)


def index_category(folder: Path, bits: int | None = None) -> tuple[list[IndexRow], list[str]]:
    """Find and check every image and mask of a category in the MVTec layout.

    Parameters
    ----------
    folder
        The category.
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
    files = layout.image_files(folder)
    problems = _layout_problems(folder, files)
    notes = []
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda file: _check_file(folder, file, bits), files))
        checked = [result for result in results if isinstance(result, Checked)]
        problems += [result for result in results if isinstance(result, str)]
        rows = [image.row for image in checked]
        if not problems:  # of an image that cannot be read, the size is not known either
            rows, mask_notes = add_masks(folder, rows, pool)
            notes = [*_file_notes(checked), *mask_notes]
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        printable = lines.encode(errors="backslashreplace").decode()  # a name may not be UTF-8
        raise InputError(layout.with_users_paths(f"{folder}: mend or remove\n{printable}", folder))
    return sorted(rows, key=lambda row: row.path), notes


def _layout_problems(folder: Path, files: Sequence[Path]) -> list[str]:
    """Missing images, images outside the layout's folders, and names that mislead."""
    problems = [
        f"{folder / wanted}: no images{advice}"
        for wanted, advice in (("train/good", ""), ("test", WITHOUT_TEST))
        if not any(file.is_relative_to(folder / wanted) for file in files)
    ]
    for split in ("train", "test"):
        for entry in layout.visible(folder / split):
            if entry.is_file() and layout.is_image(entry):
                problems.append(f"{entry}: belongs in a folder, {split}/good or a defect type")
            elif entry.name != "good" and entry.name.casefold() == "good":
                problems.append(f"{entry}: only `good` in lower case means defect-free")
            elif split == "train" and entry.is_dir() and entry.name != "good":
                problems.append(f"{entry}: detectors are trained on train/good alone")
            problems += [
                f"{inner}: images in subfolders are not found"
                for inner in layout.visible(entry)
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
        mode, size, turned, highest = _inspect(file, content, bits)
    except UnicodeEncodeError:
        return f"{file}: the name is not UTF-8"
    except decoding.UNREADABLE as error:
        return f"{file}: cannot be read as an image ({error})"
    if mode in UNBOUNDED_MODES:
        return f"{file}: 32 bits per pixel have no known range; store 8 or 16 bits"
    path, digest = file.relative_to(folder), hashlib.sha256(content).hexdigest()
    split, defect = path.parts[:2]
    label = int(defect != "good")
    row = IndexRow(path.as_posix(), split, label, defect, "", *size, mode, digest)
    return Checked(row, turned, highest)


def _inspect(
    file: Path, content: bytes, bits: int | None
) -> tuple[str, tuple[int, int], bool, int]:
    """Mode, upright size, whether turned, highest value of unknown range; damage raises."""
    with decoding.open_image(file) as image:
        mode, size, deep = image.mode, image.size, is_deep(image)
        if image.format == "PNG":
            image.verify()  # checksums show damage at a fraction of the time that decoding takes
            turnable = any(starmap(decoding.may_be_turned, decoding.png_chunks(content)))
            if not deep and not turnable:
                return mode, size, False, 0
    with decoding.open_image(file) as image:
        turned = decoding.orientation(image) in decoding.TURNS
        highest = unexplained_highest(image, file, bits) if deep else 0
        image.load()
        return mode, decoding.upright_size(image), turned, highest


def category_notes(
    folder: Path,
    rows: Sequence[IndexRow],
    counts_csv: str | Path | None,
    preprocessings: Mapping[str, Preprocessing],
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
    preprocessings
        By name, those of the dataset's methods, as in the config.
    """
    notes = [
        *_count_notes(folder.name, rows, counts_csv),
        *_size_notes(rows, preprocessings),
        *_mode_notes(rows),
        *review_notes(rows),
        *copy_notes(rows),
    ]
    return notes + layout.counted(
        layout.foreign_files(folder), "files are no images and are ignored"
    )


def copy_notes(rows: Sequence[IndexRow]) -> Iterator[str]:
    """Images of equal content: in one split, and in two.

    Raises
    ------
    InputError
        If a calibration image is a training image, which the detector knows.
    """
    originals: dict[tuple[str, str], str] = {}
    for row in rows:
        originals.setdefault((row.split, row.sha256), row.path)
    twice = [
        f"{row.path} of {original}"
        for row in rows
        if (original := originals[row.split, row.sha256]) != row.path
    ]
    yield from layout.counted(twice, "images are copies of others, and count as one with them")

    def known(split: str, other: str) -> list[str]:
        return [
            f"{row.path} of {originals[other, row.sha256]}"
            for row in rows
            if row.split == split and (other, row.sha256) in originals
        ]

    for problem in layout.counted(
        known("calibration", "train"),
        "calibration images are copies of training images, which the detector knows: remove them "
        "from `calibration`",
    ):
        raise InputError(problem)
    for other, name in (("train", "training"), ("calibration", "calibration")):
        what = f"test images are copies of {name} images: remove them"
        yield from layout.counted(known("test", other), what)


def _file_notes(checked: Sequence[Checked]) -> Iterator[str]:
    """Turned images, and 16-bit files that look as if they held fewer bits."""
    turned = [image.row.path for image in checked if image.turned]
    yield from layout.counted(turned, "images are turned as their files say")
    highest = max((image.highest for image in checked), default=0)
    found = f"values up to {highest} in 16-bit files"
    bits = next((bits for bits in CAMERA_BITS if highest < 1 << bits), None)
    if 0 < highest < 256:
        yield f"{found}, which come out black: store them in 8 bits"
    elif highest and bits:
        yield f"{found}: looks like {bits} bits; set `bits: {bits}`"


def _size_notes(
    rows: Sequence[IndexRow], preprocessings: Mapping[str, Preprocessing]
) -> Iterator[str]:
    """Images of another size than most, and what preprocessings do to proportions."""
    usual, _ = Counter((row.height, row.width) for row in rows).most_common(1)[0]
    title = f"{usual[1]}×{usual[0]}"
    odd = [row.path for row in rows if (row.height, row.width) != usual]
    yield from layout.counted(odd, f"images are not {title}")
    squashed: dict[str, list[str]] = {}
    for name, preprocessing in preprocessings.items():
        # tiles that are too large are refused when features are computed
        known = with_canvas(without_tiles(preprocessing), [(row.height, row.width) for row in rows])
        bent = [row for row in rows if distortion(known, row.height, row.width) > ALIKE]
        if distortion(known, *usual) > ALIKE:
            height, width = canvas(known)
            squashed.setdefault(f"{title} images are squashed to {width}×{height}", []).append(name)
        elif bent:
            what = f"images are squashed by {name} by more than a tenth"
            yield from layout.counted([row.path for row in bent], what)
        fitted = [row.path for row in rows if not covers(known, row.height, row.width)]
        what = f"images have other proportions than most; {name} scales them to fit"
        yield from layout.counted(fitted, what)
    yield from (f"{what} by {', '.join(names)}" for what, names in squashed.items())


def _mode_notes(rows: Sequence[IndexRow]) -> Iterator[str]:
    modes = Counter(row.mode for row in rows)
    if len(modes) > 1:
        listed = ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
        yield f"images of several kinds in one category: {listed}"
    transparent = sum(count for mode, count in modes.items() if mode.endswith(("A", "a")))
    if transparent:
        yield f"{transparent} images have an alpha channel, which is dropped"


def _count_notes(
    category: str, rows: Sequence[IndexRow], counts_csv: str | Path | None
) -> Iterator[str]:
    """How the number of images differs from the official one."""
    counts = Counter((row.split, row.label) for row in rows)
    for official in read_csv(counts_csv) if counts_csv else ():
        for name, kind in COUNTED.items():
            if official["category"] == category and counts[kind] != int(official[name]):
                there = f"{counts[kind]} images, officially {official[name]}"
                yield f"{name.replace('_', ' ')}: {there}"
