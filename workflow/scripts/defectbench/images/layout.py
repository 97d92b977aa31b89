"""Files of a category in the MVTec layout, and how messages name them to their user."""

import os
from collections.abc import Sequence
from pathlib import Path

from defectbench.folders import walk
from defectbench.names import printable

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
KINDS = "PNG, JPEG, BMP, TIFF or WebP"
"""The same in words."""

CALIBRATION_GOOD = "calibration/good"
"""Where a category's calibration images lie."""

REVIEWED = "review__"
"""Begins the names of images that came back from the line with a confirmed label."""


def image_files(folder: Path) -> list[Path]:
    """Images of a category: those to train, to calibrate, and those of every folder of ``test``."""
    defects = [folder / "train" / "good", folder / CALIBRATION_GOOD, *visible(folder / "test")]
    return [
        file for defect in defects if defect.is_dir() for file in visible(defect) if is_image(file)
    ]


def visible(folder: Path) -> list[Path]:
    """Entries of a folder, sorted, without hidden ones; none if there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if not entry.name.startswith("."))


def is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def is_reviewed(path: str | Path) -> bool:
    """Whether an image of a category, by its path there, came back from the line."""
    return Path(path).name.startswith(REVIEWED)


def images_below(folder: Path) -> list[Path]:
    """Images of a folder and of its subfolders, sorted, without hidden files and folders.

    Links are followed; one that leads nowhere counts, so that it is named as unreadable and not
    passed over.
    """
    entered = walk(folder, for_images=True)
    files = (Path(each.path, name) for each in entered for name in each.names)
    return sorted(filter(is_image, files))


def foreign_files(folder: Path) -> list[str]:
    """Files of a category that are neither images nor masks, by their paths in the category."""
    splits = [folder / split for split in ("train", "calibration", "test")]
    outer = [entry for split in splits for entry in visible(split)]
    entries = [entry for each in outer for entry in (each, *visible(each))]
    entries += [entry for defect in visible(folder / "ground_truth") for entry in visible(defect)]
    foreign = [entry for entry in entries if entry.is_file() and not is_image(entry)]
    return [str(entry.relative_to(folder)) for entry in foreign]


def counted(names: Sequence[str], what: str, remedy: str) -> list[str]:
    """A note: of how many files something is said, of which first, what to do; none without."""
    return [f"{len(names)} {what}, the first is {printable(names[0])}; {remedy}"] if names else []


def with_users_paths(text: str, folder: Path) -> str:
    """A message with the user's files in place of the links below a category's folder."""
    # the longest first: a link's path may begin like another one's
    for link in sorted(_links(folder), key=lambda link: len(str(link)), reverse=True):
        text = text.replace(str(link), str(link.readlink()))
    return text.replace(str(folder), str(users_folder(folder)))


def users_folder(folder: Path) -> Path:
    """The user's folder that holds the linked files of train and test; without any, the category's.

    Calibration images and reviewed ones may lie anywhere else.
    """
    train = folder / "train"
    if train.is_symlink():
        return train.resolve().parent
    calibration = folder / CALIBRATION_GOOD
    links = [
        link
        for link in _links(folder)
        if not (link.is_relative_to(calibration) or is_reviewed(link))
    ]
    leads_to = [str(link.readlink().parent) for link in links]
    return Path(os.path.commonpath(leads_to)) if leads_to else folder


def _links(folder: Path) -> list[Path]:
    """Links that stage `source` made, which are absolute; the user's own may lead nowhere."""
    links = [entry for entry in folder.rglob("*") if entry.is_symlink()]
    return [link for link in links if link.readlink().is_absolute()]
