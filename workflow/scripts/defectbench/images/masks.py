"""Ground-truth masks of the defective images: found, paired with their images, and checked."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images.index import IndexRow, Own
from defectbench.images.layout import KINDS, counted, is_image, visible
from defectbench.images.mask_pixels import GREYS, LABELS, load_mask

MOST_MARKED = 0.5
"""Share of an image beyond which a mask is suspected to mark what is good."""

NAMED = "ground_truth/DEFECT/NAME_mask.png marks test/DEFECT/NAME.png"


class Pairs(NamedTuple):
    """Masks of a category by what they are called.

    Attributes
    ----------
    of_images
        Mask of each image that has one; both are paths in the category.
    problems
        What must be mended before masks can be used.
    notes
        Images without a mask, where others have one, and masks of no image.
    """

    of_images: dict[str, str]
    problems: list[str]
    notes: list[str]


class Checked(NamedTuple):
    """What a mask marks.

    Attributes
    ----------
    pixels
        How many; 0 without a mask.
    fault
        Why the mask cannot be used; empty if it can.
    rule
        How its values tell, from `mask_pixels`; empty without a mask.
    """

    pixels: int = 0
    fault: str = ""
    rule: str = ""


def pair_masks(folder: Path, images: Sequence[str]) -> Pairs:
    """Masks in a category's ``ground_truth`` with the defective images of equal names.

    Parameters
    ----------
    folder
        The category.
    images
        Paths of its defective images: ``test/DEFECT/NAME.*``.
    """
    entries = [
        entry
        for defect in visible(folder / "ground_truth")
        if defect.name != "good"
        for entry in (visible(defect) if defect.is_dir() else [defect])
    ]
    masks: dict[tuple[str, str], list[str]] = {}
    for file in filter(is_image, entries):
        name = file.parent.name, file.stem.removesuffix("_mask")
        masks.setdefault(name, []).append(file.relative_to(folder).as_posix())
    problems = [
        f"{folder / own[0]}: {Path(own[1]).name} is a mask of the same image; keep one"
        for own in masks.values()
        if len(own) > 1
    ]
    keys = {path: (Path(path).parts[1], Path(path).stem) for path in images}
    found = {path: masks[key][0] for path, key in keys.items() if key in masks}
    if entries and images and not found:
        problems.append(
            f"{entries[0]}: is no defective image's mask, and so are all {len(entries)} entries of "
            f"ground_truth; {NAMED}, one {KINDS} file of each image: rename, convert or join them, "
            "or remove ground_truth"
        )
    missing = [path for path in images if path not in found] if found else []
    left = [own[0] for key, own in masks.items() if key not in keys.values()]
    notes = [
        *counted(missing, "defective images have no mask and count in no pixel figure", "add it"),
        *counted(left, "masks belong to no image", f"{NAMED}: rename or remove them"),
    ]
    return Pairs(found, problems, notes)


def add_masks(
    folder: Path,
    rows: Sequence[IndexRow],
    masks: Mapping[str, str],
    known: Mapping[str, Own],
    pool: ThreadPoolExecutor,
) -> tuple[list[IndexRow], list[str]]:
    """Rows with those of their masks that can be used, and notes of what is odd in masks.

    Noted are masks that cannot be read, mark nothing or have another size; that hold more than two
    values; that mark nearly everything; and that several images share.

    Parameters
    ----------
    folder
        The category.
    rows
        Of its images.
    masks
        From `pair_masks`.
    known
        What the source knows of them, from `read_own`.
    pool
        Reads the masks.
    """
    named = [replace(row, mask=masks.get(row.file, "")) for row in rows]
    checked = list(pool.map(lambda row: _checked(folder, row), named))
    pairs = list(zip(named, checked, strict=True))
    usable = [
        replace(row, mask="" if mask.fault else row.mask, defect_pixels=mask.pixels)
        for row, mask in pairs
    ]

    def called(row: IndexRow) -> str:
        return known[row.mask].path if row.mask in known else row.mask

    return usable, [
        *counted(
            [mask.fault for _, mask in pairs if mask.fault],
            "masks are unusable and left out",
            "mend or remove them",
        ),
        *counted(
            [called(row) for row, mask in pairs if mask.rule == GREYS],
            "masks hold more than two values, of which the upper half, above 127 of 255, counts as "
            "defective",
            "store them without loss, as PNG of 0 and 255",
        ),
        *counted(
            [called(row) for row, mask in pairs if mask.rule == LABELS],
            "masks hold more than two values, all in the lower half, of which all above 0 count as "
            "defective",
            "store 0 where the part is good and 255 where it is defective",
        ),
        *counted(
            [
                called(row)
                for row, mask in pairs
                if mask.pixels > MOST_MARKED * row.width * row.height
            ],
            "masks mark more than half of their image, as if they were inverted or counted labels "
            "from 1",
            "store 0 where the part is good and 255 where it is defective",
        ),
        *counted(
            _shared(folder, [(called(row), row) for row in usable if row.mask]),
            "masks are those of several images each",
            "if they mark one image alone, name them so that each image has its own",
        ),
    ]


def _shared(folder: Path, named: Sequence[tuple[str, IndexRow]]) -> list[str]:
    """Masks that several images have, each with those images."""
    images: dict[tuple[str, Path], list[str]] = {}
    for mask, row in named:
        images.setdefault((mask, (folder / row.mask).resolve()), []).append(row.path)
    return [
        f"{mask} of {', '.join(sorted(own))}" for (mask, _), own in images.items() if len(own) > 1
    ]


def _checked(folder: Path, row: IndexRow) -> Checked:
    """What an image's mask marks, or what is wrong with it."""
    if not row.mask:
        return Checked()
    try:
        mask = load_mask(folder / row.mask, row.width, row.height)
    except InputError as error:
        return Checked(fault=str(error).removeprefix(f"{folder}/"))
    pixels = int(mask.marked.sum())
    nothing = "" if pixels else f"{row.mask}: the mask marks nothing"
    return Checked(pixels, nothing, mask.rule if pixels else "")
