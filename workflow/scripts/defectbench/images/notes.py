"""What is usable in a category and yet worth knowing."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from defectbench.images.index import IndexRow
from defectbench.images.layout import foreign_files
from defectbench.storage import write_json

CAMERA_BITS = (10, 12, 14)


def category_notes(
    folder: Path, rows: Sequence[IndexRow], counts_csv: str | Path | None
) -> list[str]:
    """What an index and its folder tell: odd sizes and modes, copies, missing images.

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


def write_notes(path: Path, notes: Sequence[str]) -> None:
    """Store notes as a JSON list, for the report."""
    write_json(path, list(notes))


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
