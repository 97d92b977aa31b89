"""What is usable but unusual in the images of a category: sizes, modes, copies, counts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from defectbench.errors import InputError
from defectbench.images import layout
from defectbench.images.canvas import (
    ALIKE,
    KEEP,
    Preprocessing,
    canvas,
    covers,
    distortion,
    with_canvas,
    without_tiles,
)
from defectbench.images.index import IndexRow, review_notes
from defectbench.storage import read_csv

COUNTED = {"train_good": ("train", 0), "test_good": ("test", 0), "test_defective": ("test", 1)}
"""Columns of official counts: the split and the label of the images that they count."""

KEEP_PROPORTIONS = "set `aspect: keep` in `preprocessings` to keep proportions"
LARGER = "its sides are rounded as the network needs, and a larger `size` is rounded by less"


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
        layout.foreign_files(folder),
        f"files are no {layout.KINDS} and are ignored",
        "convert those that are images",
    )


def copy_notes(rows: Sequence[IndexRow]) -> Iterator[str]:
    """Images of equal content: called good and defective, in one split, and in two.

    Raises
    ------
    InputError
        If a calibration image is a training image, which the detector knows.
    """
    originals: dict[tuple[str, str], str] = {}
    for row in rows:
        originals.setdefault((row.split, row.sha256), row.path)
    defective = {row.sha256: row.path for row in rows if row.label}
    both = [
        f"{row.path} and {defective[row.sha256]}"
        for row in rows
        if not row.label and row.sha256 in defective
    ]
    what = "images are good and, with equal content, defective, so that no detector can be right"
    yield from layout.counted(both, what, "keep the right one")
    twice = [
        f"{row.path} of {original}"
        for row in rows
        if (original := originals[row.split, row.sha256]) != row.path
    ]
    yield from layout.counted(
        twice, "images are copies of others, and count as one with them", "remove them"
    )

    def known(split: str, other: str) -> list[str]:
        return [
            f"{row.path} of {originals[other, row.sha256]}"
            for row in rows
            if row.split == split and (other, row.sha256) in originals
        ]

    for problem in layout.counted(
        known("calibration", "train"),
        "calibration images are copies of training images, which the detector knows",
        "remove them from `calibration`",
    ):
        raise InputError(problem)
    for other, name in (("train", "training"), ("calibration", "calibration")):
        what = f"test images are copies of {name} images"
        yield from layout.counted(known("test", other), what, "remove them")


def _size_notes(
    rows: Sequence[IndexRow], preprocessings: Mapping[str, Preprocessing]
) -> Iterator[str]:
    """Images of another size than most, and what preprocessings do to proportions."""
    usual, _ = Counter((row.height, row.width) for row in rows).most_common(1)[0]
    title = f"{usual[1]}×{usual[0]}"
    odd = [row.path for row in rows if (row.height, row.width) != usual]
    yield from layout.counted(odd, f"images are not {title}", "remove those of something else")
    squashed: dict[tuple[str, str], list[str]] = {}
    for name, preprocessing in preprocessings.items():
        # tiles that are too large are refused when features are computed
        known = with_canvas(without_tiles(preprocessing), [(row.height, row.width) for row in rows])
        bent = [row for row in rows if distortion(known, row.height, row.width) > ALIKE]
        remedy = LARGER if known.get("aspect") == KEEP else KEEP_PROPORTIONS
        if distortion(known, *usual) > ALIKE:
            height, width = canvas(known)
            what = f"{title} images are squashed to {width}×{height}"
            squashed.setdefault((what, remedy), []).append(name)
        elif bent:
            what = f"images are squashed by {name} by more than a tenth"
            yield from layout.counted([row.path for row in bent], what, remedy)
        fitted = [row.path for row in rows if not covers(known, row.height, row.width)]
        what = f"images have other proportions than most, and {name} scales them to fit"
        yield from layout.counted(fitted, what, "crop those that should not be seen so")
    for (what, remedy), names in squashed.items():
        yield f"{what} by {', '.join(names)}; {remedy}"


def _mode_notes(rows: Sequence[IndexRow]) -> Iterator[str]:
    modes = Counter(row.mode for row in rows)
    if len(modes) > 1:
        listed = ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
        yield f"images of several kinds in one category: {listed}; store all in the same way"


def _count_notes(
    category: str, rows: Sequence[IndexRow], counts_csv: str | Path | None
) -> Iterator[str]:
    """How the number of images differs from the official one."""
    counts = Counter((row.split, row.label) for row in rows)
    for official in read_csv(counts_csv) if counts_csv else ():
        for name, kind in COUNTED.items():
            if official["category"] == category and counts[kind] != int(official[name]):
                there = f"{counts[kind]} images, officially {official[name]}: get the missing ones"
                yield f"{name.replace('_', ' ')}: {there}"
