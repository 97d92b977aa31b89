"""Images in folders as people have them, laid out as the MVTec layout.

A dataset then says which folders, or files, hold defect-free and which defective images::

    parts: {source: folder, path: /data/parts, good: ok, defective: nok, masks: "masks/{stem}.png"}

`path` is the category itself if `good` is found in it; else it holds a folder per category.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.index import Own, group_names, write_own
from defectbench.images.layout import KINDS, is_image, visible
from defectbench.names import link_names, unfit_path
from defectbench.provenance import file_sha256
from defectbench.sources import base
from defectbench.sources.named_images import images_named, refuse_good_folders

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
    def unit(self) -> str:
        """What is drawn for the test as a whole: its group, or the image alone."""
        return self.group or f"{self.split}/{self.defect}/{self.own_path.replace('/', '__')}"


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
        masks, own = self._masks(category), {}
        for place, image in _linked(self._placed(category)).items():
            base.link(folder / place, image.file)
            own[place] = Own(image.own_path, image.group)
            if image.defect != "good" and (mask := masks.get(image.file)):
                marked = f"ground_truth/{image.defect}/{Path(place).stem}_mask{mask.suffix}"
                base.link(folder / marked, mask)
                own[marked] = Own(_relative(mask, self._folder(category)), "")
        write_own(folder, own)

    def groups_of_further(self, category: str, places: Sequence[str]) -> list[str]:
        return group_names(places, self.entry.get("groups", ""), category)

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Folder of each category."""
        path, good = base.existing_folder(self.entry), self.entry["good"]
        if images_named(path, good):
            return {path.resolve().name: path}
        folders = [folder for folder in visible(path) if folder.is_dir()]
        found = {folder.name: folder for folder in folders if images_named(folder, good)}
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
        return images_named(self._folder(category), self.entry.get(key, ()))

    def _placed(self, category: str) -> list[Placed]:
        """The images of a category in train and test."""
        folder = self._folder(category)
        good, tested, defective = self._checked(category)
        places = [
            *(("train", "good", file) for file in good if file not in tested),
            *(("test", "good", file) for file in tested),
            *(("test", defect, file) for file, defect in defective.items()),
        ]
        paths = [file.relative_to(folder).as_posix() for *_, file in places]
        for path in paths:
            if why := unfit_path(path):
                raise InputError(f"{folder / path}: {why}")
        groups = group_names(paths, self.entry.get("groups", ""), category)
        placed = [
            Placed(*place, path, group)
            for place, path, group in zip(places, paths, groups, strict=True)
        ]
        if tested:
            return placed
        rng = np.random.default_rng([self.config["seed"], zlib.crc32(category.encode())])
        return _with_test_images(placed, rng, folder)

    def _checked(self, category: str) -> list[dict[Path, str]]:
        """What each key of `IMAGES` names, masks apart, if it can be meant so."""
        folder, masks = self._folder(category), self._masks(category)
        no_images = set(masks.values())
        named = [
            {
                file: name
                for file, name in self._files(category, key).items()
                if file not in no_images
            }
            for key in IMAGES
        ]
        for key, files in zip(IMAGES, named, strict=True):
            if key in self.entry and not files:
                listed = _listed(self.entry[key])
                raise InputError(
                    f"{folder}: no images in {listed} (`{key}` of the dataset); mend it, or put "
                    f"{KINDS} files there"
                )
        good, tested, defective = named
        refuse_good_folders(folder, defective, self.entry.get("defective", ()))
        if both := sorted((good.keys() | tested.keys()) & defective.keys()):
            raise InputError(
                f"{both[0]}: is both good and defective, and so are {len(both) - 1} others; "
                "mend `good` or `defective` of the dataset"
            )
        self._check_masks(folder, defective, masks)
        return named

    def _masks(self, category: str) -> dict[Path, Path]:
        """Mask of each image that has one; a good image may, and its mask is no image either."""
        folder = self._folder(category)
        images = {file: name for key in IMAGES for file, name in self._files(category, key).items()}
        if "masks" not in self.entry:
            return {}
        pattern = self.entry["masks"]
        found = {file: _mask_place(pattern, folder, file, name) for file, name in images.items()}
        return {file: mask for file, mask in found.items() if mask.is_file() and mask != file}

    def _check_masks(
        self, folder: Path, defective: Mapping[Path, str], masks: Mapping[Path, Path]
    ) -> None:
        """Refuse masks of a kind that is not read, and `masks` that names none that is there."""
        own = [masks[file] for file in defective if file in masks]
        if unread := [mask for mask in own if not is_image(mask)]:
            raise InputError(
                f"{unread[0]}: {len(unread)} of the files that `masks` of the dataset names are no "
                f"{KINDS}; convert them"
            )
        if "masks" in self.entry and defective and not own:
            file, defect = next(iter(defective.items()))
            place = _mask_place(self.entry["masks"], folder, file, defect)
            raise InputError(
                f"{folder}: no mask as `masks` of the dataset names them, that of "
                f"{file.relative_to(folder)} would be {place}; mend or remove `masks`"
            )


def _mask_place(pattern: str, folder: Path, file: Path, defect: str) -> Path:
    """Where the mask of an image should be."""
    place = file.parent.relative_to(folder).as_posix()
    words = {"stem": file.stem, "name": file.name, "defect": defect, "folder": place}
    try:
        return folder / pattern.format(**words)
    except (KeyError, IndexError, ValueError):
        raise InputError(
            f"{pattern!r} (`masks` of the dataset): in braces it may name {', '.join(words)}"
        ) from None


def _with_test_images(placed: list[Placed], rng: np.random.Generator, folder: Path) -> list[Placed]:
    """A quarter of the training images moved to the test, whole groups at a time."""
    training = [image.unit for image in placed if image.split == "train"]
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
    return [image._replace(split="test") if image.unit in chosen else image for image in placed]


def _linked(placed: Sequence[Placed]) -> dict[str, Placed]:
    """Images by their places in the MVTec layout; those of equal names keep apart."""
    found: dict[str, Placed] = {}
    for folder in sorted({f"{image.split}/{image.defect}" for image in placed}):
        own = [image for image in placed if f"{image.split}/{image.defect}" == folder]
        names = link_names([image.own_path for image in own])
        found |= {f"{folder}/{name}": image for name, image in zip(names, own, strict=True)}
    return found


def _relative(file: Path, folder: Path) -> str:
    """A file's path in a folder, or all of it if it lies elsewhere."""
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()


def _listed(patterns: str | Sequence[str]) -> str:
    return patterns if isinstance(patterns, str) else ", ".join(patterns)
