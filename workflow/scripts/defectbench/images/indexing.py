"""Find and check every image and mask of a category."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images import layout
from defectbench.images.canvas import Preprocessing
from defectbench.images.decoding import Seen, content_of, look_at, reading
from defectbench.images.index import IndexRow, Own, read_own
from defectbench.images.masks import add_masks, pair_masks
from defectbench.images.notes import category_notes
from defectbench.names import unfit_path
from defectbench.progress import Progress

WITHOUT = {
    "train/good": f"; put {layout.KINDS} files of good parts there",
    "test": "; `good: train/good` in the dataset's settings sets a quarter of those aside",
}
"""What to do where a category lacks images of a kind."""

CAMERA_BITS = (10, 12, 14)
MOST_SKIPPED = 0.1
"""Share of a category's images that may be unreadable and left out."""


class Checked(NamedTuple):
    """An image that can be used: its row, the mask apart, and what its file says beside that."""

    row: IndexRow
    seen: Seen


def examine_category(
    folder: Path,
    bits: int | None,
    skip_unreadable: bool,
    counts_csv: str | Path | None,
    preprocessings: Mapping[str, Preprocessing],
) -> tuple[list[IndexRow], list[str]]:
    """Index of a category, and all that is worth knowing of it.

    Parameters and errors are those of `index_category` and `notes.category_notes`.
    """
    rows, notes = index_category(folder, bits, skip_unreadable)
    return rows, notes + category_notes(folder, rows, counts_csv, preprocessings)


def index_category(
    folder: Path, bits: int | None = None, skip_unreadable: bool = False
) -> tuple[list[IndexRow], list[str]]:
    """Find and check every image and mask of a category in the MVTec layout.

    Parameters
    ----------
    folder
        The category.
    bits
        Bits that values of 16-bit files use, if the config says so.
    skip_unreadable
        Whether images that cannot be read are left out and noted, up to a tenth of all.

    Returns
    -------
    list of IndexRow
        Sorted by the places in the folder, with the paths and groups that its source knows.
    list of str
        Notes that need the files and not the index alone: what was left out, orientations, bits,
        masks.

    Raises
    ------
    InputError
        If anything cannot be used; the message lists all of it, each with its file.
    """
    files = layout.image_files(folder)
    masks = pair_masks(folder, [_path(folder, file) for file in files if _label(folder, file)])
    own = read_own(folder)
    with ThreadPoolExecutor() as pool:
        progress = Progress(len(files), str(folder), "images", if_long=True)
        results = []
        for result in pool.map(lambda file: _check_file(folder, file, bits, own), files):
            results.append(result)
            progress.advance(1)
        checked = [result for result in results if isinstance(result, Checked)]
        pairs = zip(files, results, strict=True)
        unreadable = {file: result for file, result in pairs if isinstance(result, str)}
        may_skip = len(unreadable) <= MOST_SKIPPED * len(files)
        skipped = unreadable if skip_unreadable and may_skip else {}
        problems = _layout_problems(folder, [file for file in files if file not in skipped])
        problems += masks.problems
        if problems or len(unreadable) > len(skipped):
            what = "mend or remove"
            if skip_unreadable and not may_skip:
                what = f"`unreadable: skip` leaves out a tenth at most; {what}"
            elif may_skip and not problems:
                what = f"{what}, or set `unreadable: skip` of the dataset"
            raise InputError(_listed(folder, what, [*problems, *unreadable.values()]))
        rows = [each.row for each in checked]
        rows, mask_notes = add_masks(folder, rows, masks.of_images, own, pool)
    left_out = "\n".join(f"left out (`unreadable: skip`): {why}" for why in skipped.values())
    told = layout.with_users_paths(left_out, folder).splitlines()
    notes = [*told, *_file_notes(checked), *masks.notes, *mask_notes]
    return sorted(rows, key=lambda row: row.file), notes


def _listed(folder: Path, what: str, problems: Sequence[str]) -> str:
    """What to do in a category, and with which files."""
    lines = "\n".join(f"  {line}" for line in problems)
    return layout.with_users_paths(f"{folder}: {what}\n{lines}", folder)


def _layout_problems(folder: Path, files: Sequence[Path]) -> list[str]:
    """Missing images, images outside the layout's folders, and names that mislead."""
    problems = [
        f"{folder / wanted}: no images{advice}"
        for wanted, advice in WITHOUT.items()
        if not any(file.is_relative_to(folder / wanted) for file in files)
    ]
    for split in ("train", "test"):
        for entry in layout.visible(folder / split):
            if entry.is_file() and layout.is_image(entry):
                problems.append(
                    f"{entry}: belongs in a folder, {split}/good or a defect's; move it"
                )
            elif entry.name != "good" and entry.name.strip().casefold() == "good":
                problems.append(
                    f"{str(entry)!r}: only `good`, in lower case, means defect-free; rename it"
                )
            elif split == "train" and entry.is_dir() and entry.name != "good":
                problems.append(
                    f"{entry}: detectors are trained on train/good alone; move it to test"
                )
            problems += [
                f"{inner}: images in subfolders are not found; move them up"
                for inner in layout.visible(entry)
                if inner.is_dir()
            ]
    seen: dict[str, Path] = {}
    for file in files:
        twin = seen.setdefault(str(file).casefold(), file)
        if twin != file:
            problems.append(f"{file}: differs from {twin.name} in case alone; rename one")
        image = file.with_stem(file.stem.removesuffix("_mask") or file.stem)
        if image != file and image in files:
            problems.append(f"{file}: is called a mask of {image.name}; move it to ground_truth")
        if why := unfit_path(_path(folder, file)):
            problems.append(f"{file}: {why}")
    return problems


def _path(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _label(folder: Path, file: Path) -> int:
    """0 of a defect-free image, 1 of a defective one."""
    return int(file.relative_to(folder).parts[1] != "good")


def _check_file(
    folder: Path, file: Path, bits: int | None, known: Mapping[str, Own]
) -> Checked | str:
    """One image checked, or what is wrong with it."""
    try:
        with reading(file):
            content = content_of(file)
            seen = look_at(content, bits)
    except InputError as error:
        return str(error)
    split, defect = file.relative_to(folder).parts[:2]
    digest = hashlib.sha256(content).hexdigest()
    label, size = _label(folder, file), seen.size
    link = _path(folder, file)
    own = known.get(link, Own("", ""))
    row = IndexRow(
        own.path or link,
        split,
        label,
        defect,
        "",
        *size,
        seen.mode,
        digest,
        own.group,
        link=link if own.path else "",
    )
    return Checked(row, seen)


def _file_notes(checked: Sequence[Checked]) -> Iterator[str]:
    """What files say that an index does not: turned, transparent, of several pages, of few bits."""
    for found, what, remedy in (
        (lambda seen: seen.turned, "images are turned as their files say", "masks must be, too"),
        (
            lambda seen: seen.transparent,
            "images have transparent parts, which are shown",
            "store what is to be seen, without transparency",
        ),
        (
            lambda seen: seen.pages > 1,
            "files hold several pages, of which the first is used",
            "store each page as a file of its own",
        ),
    ):
        own = [image.row.path for image in checked if found(image.seen)]
        yield from layout.counted(own, what, remedy)
    highest = max((image.seen.highest for image in checked), default=0)
    found = f"values up to {highest} in 16-bit files"
    bits = next((bits for bits in CAMERA_BITS if highest < 1 << bits), None)
    if 0 < highest < 256:
        yield f"{found}, which come out black: store them in 8 bits"
    elif highest and bits:
        yield f"{found}: looks like {bits} bits; set `bits: {bits}`"
