"""Images in folders as people have them, laid out as the MVTec layout.

A dataset then says which folders, or files, hold defect-free and which defective images::

    parts: {source: folder, path: /data/parts, good: ok, defective: nok, masks: "masks/{stem}.png"}

`path` is the category itself if `good` is found in it; else it holds a folder per category.
"""

import csv
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.images.groups import OWN, group_names
from defectbench.images.layout import is_image, visible
from defectbench.sources.mvtec_folder import folder_made_whole

TEST_SHARE = 0.25
"""Of the defect-free images, where none are set aside for the test."""

KEYS = ("good", "test_good", "defective", "masks")


class Placed(NamedTuple):
    """An image and its place in the MVTec layout."""

    split: str
    defect: str
    name: str
    file: Path

    @property
    def path(self) -> str:
        """Relative to the category's folder."""
        return f"{self.split}/{self.defect}/{self.name}"


def own_categories(entry: Mapping[str, Any]) -> dict[str, Path]:
    """Categories of a dataset with the key `good`, by name, each with its folder.

    Raises
    ------
    InputError
        If there are none.
    """
    path = Path(entry["path"])
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; mend `path` of the dataset in the config")
    if _matching(path, entry["good"]):
        return {path.resolve().name: path}
    folders = [folder for folder in visible(path) if folder.is_dir()]
    found = {folder.name: folder for folder in folders if _matching(folder, entry["good"])}
    if not found:
        raise InputError(
            f"searched {path} and its folders for images in {_listed(entry['good'])} (`good`); "
            f"found {', '.join(folder.name + '/' for folder in folders[:8]) or 'no folders'}"
        )
    return found


def lay_out(folder: Path, entry: Mapping[str, Any], category: str, seed: int, output: Path) -> None:
    """Link a category's images to `output` in the MVTec layout, complete or not at all.

    Without images for `test_good`, a quarter of the defect-free ones are set aside for the test,
    drawn by the seed; images of one group stay together. Groups are written to ``groups.csv``.

    Parameters
    ----------
    folder
        The category's.
    entry
        The dataset in the config.
    category
        Its name.
    seed
        Decides the split.
    output
        Folder to make.

    Raises
    ------
    InputError
        If `defective` or `test_good` match nothing, an image is both good and defective, or all
        good images are of one group and none can be set aside.
    """
    good = _required(folder, entry, "good")
    masks = _masks(folder, entry)
    defective = [
        (d, file) for d, file in _required(folder, entry, "defective") if file not in masks
    ]
    tested = _required(folder, entry, "test_good")
    _refuse_both({file for _, file in [*good, *tested]}, {file for _, file in defective})
    kept_apart = {file for _, file in tested}
    placed = [
        *(_placed(folder, "train", "good", file) for _, file in good if file not in kept_apart),
        *(_placed(folder, "test", "good", file) for _, file in tested),
        *(_placed(folder, "test", defect, file) for defect, file in defective),
    ]
    groups = _groups(folder, placed, entry.get("groups", ""), category)
    if not tested:
        placed = _with_test_images(placed, groups, seed, category, folder)
    mask_of = {file: mask for mask, file in masks.items()}
    with folder_made_whole(output) as made:
        for image in placed:
            _link(made / image.path, image.file)
            if mask := mask_of.get(image.file):
                name = f"{Path(image.name).stem}_mask{mask.suffix}"
                _link(made / "ground_truth" / image.defect / name, mask)
        if any(groups):
            lines = sorted((image.path, name) for image, name in zip(placed, groups, strict=True))
            with open(made / OWN, "w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows([("path", "group"), *lines])


def training_images(folder: Path, entry: Mapping[str, Any]) -> int:
    """How many images a category with the key `good` leaves for training, groups apart."""
    good, tested = (_matching(folder, entry.get(key, ())) for key in ("good", "test_good"))
    kept = {file for _, file in good} - {file for _, file in tested}
    return len(kept) if tested else len(kept) - round(TEST_SHARE * len(kept))


def own_paths(folder: Path, entry: Mapping[str, Any]) -> list[str]:
    """Paths of a category's images below its folder, where its dataset has the key `good`."""
    keys = ("good", "test_good", "defective")
    files = {file for key in keys for _, file in _matching(folder, entry.get(key, ()))}
    return sorted(file.relative_to(folder).as_posix() for file in files)


def _matching(folder: Path, patterns: str | Sequence[str]) -> list[tuple[str, Path]]:
    """Images that patterns name, with their defect: the first folder below what is named."""
    found: dict[Path, str] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for named in sorted(folder.glob(pattern)):
            for defect, file in _images(named):
                if not any(part.startswith(".") for part in file.relative_to(folder).parts):
                    found.setdefault(file, defect if defect.casefold() != "good" else "defective")
    return [(defect, file) for file, defect in sorted(found.items())]


def _images(named: Path) -> Iterator[tuple[str, Path]]:
    if named.is_dir():
        for file in named.rglob("*"):
            if is_image(file) and file.is_file():
                inside = file.relative_to(named).parts
                yield (inside[0] if len(inside) > 1 else named.name), file
    elif is_image(named):
        yield named.parent.name, named


def _required(folder: Path, entry: Mapping[str, Any], key: str) -> list[tuple[str, Path]]:
    found = _matching(folder, entry.get(key, ()))
    if key in entry and not found:
        raise InputError(f"{folder}: no images in {_listed(entry[key])} (`{key}` of the dataset)")
    return found


def _masks(folder: Path, entry: Mapping[str, Any]) -> dict[Path, Path]:
    """Images by their masks, for those of the defective images that have one."""
    found = {}
    for defect, file in _matching(folder, entry.get("defective", ())):
        place = file.parent.relative_to(folder).as_posix()
        words = {"stem": file.stem, "name": file.name, "defect": defect, "folder": place}
        try:
            mask = folder / entry.get("masks", "").format(**words)
        except (KeyError, IndexError, ValueError):
            raise InputError(
                f"{entry['masks']!r} (`masks` of the dataset): in braces it may name "
                f"{', '.join(words)}"
            ) from None
        if mask.is_file() and mask != file:
            found[mask] = file
    return found


def _refuse_both(good: set[Path], defective: set[Path]) -> None:
    if both := sorted(good & defective):
        raise InputError(
            f"{both[0]}: is both good and defective, and so are {len(both) - 1} others; "
            "mend `good` or `defective` of the dataset"
        )


def _placed(folder: Path, split: str, defect: str, file: Path) -> Placed:
    # of equal names in several folders, each keeps its own
    return Placed(split, defect, "__".join(file.relative_to(folder).parts), file)


def _groups(folder: Path, placed: Sequence[Placed], groups: Any, category: str) -> list[str]:
    """Group of each image, searched for in its own path below the category's folder."""
    paths = [image.file.relative_to(folder).as_posix() for image in placed]
    return group_names(paths, groups, category) if groups else [""] * len(placed)


def _with_test_images(
    placed: list[Placed], groups: list[str], seed: int, category: str, folder: Path
) -> list[Placed]:
    """A quarter of the training images moved to the test, whole groups at a time."""
    units = [group or image.path for image, group in zip(placed, groups, strict=True)]
    training = [unit for unit, image in zip(units, placed, strict=True) if image.split == "train"]
    known = sorted(set(training))
    drawn = np.random.default_rng([seed, zlib.crc32(category.encode())]).permutation(len(known))
    chosen: set[str] = set()
    for unit in drawn[:-1]:
        if sum(name in chosen for name in training) >= round(TEST_SHARE * len(training)):
            break
        chosen.add(known[unit])
    if not chosen:
        raise InputError(
            f"{folder}: all good images are of one group, so that none can be set aside for the "
            "test; name other images as `test_good`, or mend `groups`"
        )
    return [
        image._replace(split="test") if unit in chosen else image
        for unit, image in zip(units, placed, strict=True)
    ]


def _link(link: Path, file: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(file.absolute())


def _listed(patterns: str | Iterable[str]) -> str:
    return patterns if isinstance(patterns, str) else ", ".join(patterns)
