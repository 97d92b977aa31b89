"""What is usable in a category and yet worth knowing."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from defectbench.images.index import IndexRow
from defectbench.images.layout import foreign_files


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
    foreign = [file for split in ("train", "test") for file in foreign_files(folder / split)]
    if foreign:
        first = foreign[0].relative_to(folder)
        notes.append(f"{len(foreign)} files are no images and are ignored, the first is {first}")
    return notes


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
