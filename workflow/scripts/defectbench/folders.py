"""Files below a folder, the same for all who look for images or digest them: links are followed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from defectbench.errors import InputError


class Entered(NamedTuple):
    """A folder on the way down.

    Attributes
    ----------
    path
        As it was reached.
    real
        Without links.
    names
        Of what it holds beside folders, sorted.
    """

    path: str
    real: str
    names: list[str]


def walk(folder: str | Path, for_images: bool) -> Iterator[Entered]:
    """A folder and all folders below it, sorted; none if there is no such folder.

    Links are followed, but for those that lead in a circle, to a folder above them: on each way
    down a folder is entered once.

    Parameters
    ----------
    folder
        Where to begin, hidden or not.
    for_images
        Whether images are looked for: what has a name that begins with a dot is left out then, and
        a folder that must not be listed is refused, for images in it would be passed over.

    Raises
    ------
    InputError
        Naming that folder.
    """
    above = Path(os.path.realpath(folder)).parents
    return _walk(os.fspath(folder), for_images, frozenset(map(str, above)))


def _walk(folder: str, for_images: bool, above: frozenset[str]) -> Iterator[Entered]:
    real = os.path.realpath(folder)
    if real in above:
        return
    names, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not (for_images and entry.name.startswith(".")):
                    (folders if _is_folder(entry) else names).append(entry.name)
    except PermissionError as error:
        if for_images:
            raise InputError(f"{folder}: cannot be listed; allow it, or move it away") from error
    except (FileNotFoundError, NotADirectoryError):  # also one that has just been removed
        return
    yield Entered(folder, real, sorted(names))
    for name in sorted(folders):
        yield from _walk(os.path.join(folder, name), for_images, above | {real})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is neither."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
