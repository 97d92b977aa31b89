"""Images in folders as people have them, laid out as the MVTec layout.

A dataset then says which folders, or files, hold defect-free and which defective images::

    parts: {source: folder, path: /data/parts, good: ok, defective: nok, masks: "masks/{stem}.png"}

`path` is the category itself if `good` is found in it; else it holds a folder per category.
"""

import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.index import group_names
from defectbench.images.layout import is_image, visible
from defectbench.provenance import file_sha256
from defectbench.sources import base

TEST_SHARE = 0.25
"""Of the defect-free images, where none are set aside for the test."""

IMAGES = ("good", "test_good", "defective")
"""Keys that name images."""


class Placed(NamedTuple):
    """An image with its place in the MVTec layout, its path in the user's own, and its group."""

    split: str
    defect: str
    file: Path
    own_path: str
    group: str

    @property
    def path(self) -> str:
        """In the MVTec layout; files of equal names in several folders keep apart."""
        return f"{self.split}/{self.defect}/{self.own_path.replace('/', '__')}"


class OwnFolders(base.ImageSource):
    """Chosen where a dataset's entry has the key `good`.

    Without images for `test_good`, a quarter of the defect-free ones are set aside for the test,
    drawn by the seed; images of one group stay together.
    """

    required = frozenset({"path", "good"})
    optional = base.ImageSource.optional | {"test_good", "defective", "masks"}
    groups = ""  # `lay_out` writes them down, so that stage `index` has them

    def found(self) -> list[str]:
        return list(self._folders)

    def origin(self, category: str, contents: Contents) -> dict[str, Any]:
        keys = (*IMAGES, "masks")
        groups = self.entry.get("groups", "")
        return {
            **base.local_origin(self._folder(category), contents),
            **{key: self.entry[key] for key in keys if key in self.entry},
            "groups": groups if isinstance(groups, str) else file_sha256(groups["csv"]),
            "seed": self.config["seed"],
        }

    def images(self, category: str) -> list[tuple[str, str]]:
        return [(image.split, image.own_path) for image in self._placed(category)]

    def lay_out(self, category: str, folder: Path, origin: Any) -> None:
        placed = self._placed(category)
        mask_of = {file: mask for mask, file in self._masks(category).items()}
        for image in placed:
            base.link(folder / image.path, image.file)
            if mask := mask_of.get(image.file):
                name = f"{Path(image.path).stem}_mask{mask.suffix}"
                base.link(folder / "ground_truth" / image.defect / name, mask)
        if any(image.group for image in placed):
            base.write_groups(folder, sorted((image.path, image.group) for image in placed))

    def group_further(self, category: str, folder: Path, places: Sequence[str]) -> None:
        groups = group_names(places, self.entry.get("groups", ""), category)
        if any(groups):
            base.write_groups(folder, zip(places, groups, strict=True))

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Folder of each category."""
        path, good = base.existing_folder(self.entry), self.entry["good"]
        if _matching(path, good):
            return {path.resolve().name: path}
        folders = [folder for folder in visible(path) if folder.is_dir()]
        found = {folder.name: folder for folder in folders if _matching(folder, good)}
        if not found:
            there = base.few([f"{folder.name}/" for folder in folders])
            raise InputError(
                f"searched {path} and its folders for images in {_listed(good)} (`good`); "
                f"found {there or 'no folders'}"
            )
        return found

    def _folder(self, category: str) -> Path:
        return self._folders.get(category, Path(self.entry["path"], category))

    def _files(self, category: str, key: str) -> dict[Path, str]:
        return _matching(self._folder(category), self.entry.get(key, ()))

    def _placed(self, category: str) -> list[Placed]:
        """The images of a category in train and test."""
        folder, masks = self._folder(category), self._masks(category)
        good, tested, defective = (self._files(category, key) for key in IMAGES)
        for key, files in zip(IMAGES, (good, tested, defective), strict=True):
            if key in self.entry and not files:
                listed = _listed(self.entry[key])
                raise InputError(f"{folder}: no images in {listed} (`{key}` of the dataset)")
        defective = {file: defect for file, defect in defective.items() if file not in masks}
        if both := sorted((good.keys() | tested.keys()) & defective.keys()):
            raise InputError(
                f"{both[0]}: is both good and defective, and so are {len(both) - 1} others; "
                "mend `good` or `defective` of the dataset"
            )
        places = [
            *(("train", "good", file) for file in good if file not in tested),
            *(("test", "good", file) for file in tested),
            *(("test", defect, file) for file, defect in defective.items()),
        ]
        paths = [file.relative_to(folder).as_posix() for *_, file in places]
        groups = group_names(paths, self.entry.get("groups", ""), category)
        placed = [
            Placed(*place, path, group)
            for place, path, group in zip(places, paths, groups, strict=True)
        ]
        if tested:
            return placed
        rng = np.random.default_rng([self.config["seed"], zlib.crc32(category.encode())])
        return _with_test_images(placed, rng, folder)

    def _masks(self, category: str) -> dict[Path, Path]:
        """Images by their masks, for those of the defective images that have one."""
        folder, pattern = self._folder(category), self.entry.get("masks", "")
        found = {}
        for file, defect in self._files(category, "defective").items():
            place = file.parent.relative_to(folder).as_posix()
            words = {"stem": file.stem, "name": file.name, "defect": defect, "folder": place}
            try:
                mask = folder / pattern.format(**words)
            except (KeyError, IndexError, ValueError):
                raise InputError(
                    f"{pattern!r} (`masks` of the dataset): in braces it may name "
                    f"{', '.join(words)}"
                ) from None
            if mask.is_file() and mask != file:
                found[mask] = file
        return found


def _matching(folder: Path, patterns: str | Sequence[str]) -> dict[Path, str]:
    """Images that patterns name, sorted, each with its defect: the folder below what is named."""
    found: dict[Path, str] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for named in sorted(folder.glob(pattern)):
            for defect, file in _images(named):
                if not any(part.startswith(".") for part in file.relative_to(folder).parts):
                    # a defect type cannot be called like the defect-free images
                    found.setdefault(file, defect if defect.casefold() != "good" else "defective")
    return dict(sorted(found.items()))


def _images(named: Path) -> Iterator[tuple[str, Path]]:
    if named.is_dir():
        for file in named.rglob("*"):
            if is_image(file) and file.is_file():
                inside = file.relative_to(named).parts
                yield (inside[0] if len(inside) > 1 else named.name), file
    elif is_image(named):
        yield named.parent.name, named


def _with_test_images(placed: list[Placed], rng: np.random.Generator, folder: Path) -> list[Placed]:
    """A quarter of the training images moved to the test, whole groups at a time."""
    training = [image.group or image.path for image in placed if image.split == "train"]
    known = sorted(set(training))
    chosen: set[str] = set()
    for unit in rng.permutation(len(known))[:-1]:
        if sum(name in chosen for name in training) >= round(TEST_SHARE * len(training)):
            break
        chosen.add(known[unit])
    if not chosen:
        raise InputError(
            f"{folder}: all good images are of one group, so that none can be set aside for the "
            "test; name other images as `test_good`, or mend `groups`"
        )
    return [
        image._replace(split="test") if (image.group or image.path) in chosen else image
        for image in placed
    ]


def _listed(patterns: str | Sequence[str]) -> str:
    return patterns if isinstance(patterns, str) else ", ".join(patterns)
