"""Images that a dataset's settings name: by folders, or by globs of folders or files."""

import glob
import itertools
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images.layout import images_below, visible
from defectbench.sources import base

GOOD = "good"


class Part(NamedTuple):
    """Part of a pattern for paths: the name of a folder or file, or a pattern for names."""

    name: str
    literal: bool

    def fits(self, name: str) -> bool:
        return name == self.name if self.literal else fnmatchcase(name, self.name)


def images_named(folder: Path, patterns: str | Sequence[str]) -> dict[Path, str]:
    """Images below a folder that patterns name, sorted, each with its defect.

    That is the folder below the one that is named, if there is one. Links are followed, and what is
    hidden is left out. A folder that is called like a pattern, such as ``ok [1]``, is meant itself.
    """
    found: dict[Path, str] = {}
    for pattern in _several(patterns):
        wanted = _parts(folder, pattern)
        for file in images_below(_searched(folder, wanted)):
            parts = file.relative_to(folder).parts
            named = [length for length in range(len(parts) + 1) if _fits(parts[:length], wanted)]
            if named and not any(part.startswith(".") for part in parts):
                found.setdefault(file, _defect(folder, parts, named[0]))
    return dict(sorted(found.items()))


def _several(patterns: str | Sequence[str]) -> Sequence[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def _parts(folder: Path, pattern: str) -> list[Part]:
    """Parts of a pattern; one that is there under its very name is no pattern."""
    found: list[Part] = []
    for name in PurePath(pattern).parts:
        before = [part.name for part in found]
        is_there = all(part.literal for part in found) and folder.joinpath(*before, name).exists()
        found.append(Part(name, is_there or not glob.has_magic(name)))
    return found


def _searched(folder: Path, pattern: Sequence[Part]) -> Path:
    """The folder with all images that a pattern names: what it spells out."""
    plain = [part.name for part in itertools.takewhile(lambda part: part.literal, pattern)]
    spelt_out = folder.joinpath(*plain)
    return spelt_out.parent if plain and not spelt_out.is_dir() else spelt_out


def _fits(parts: Sequence[str], pattern: Sequence[Part]) -> bool:
    """Whether a path is one that a pattern names; ``**`` stands for any folders, or none."""
    if not pattern:
        return not parts
    first, *rest = pattern
    if first.name == "**":
        return any(_fits(parts[start:], rest) for start in range(len(parts) + 1))
    return bool(parts) and first.fits(parts[0]) and _fits(parts[1:], rest)


def _defect(folder: Path, parts: Sequence[str], named: int) -> str:
    """Defect of an image of which so many parts of the path are named."""
    folders = [folder.name, *parts[:-1]]
    defect = folders[min(named + 1, len(folders) - 1)]
    # a defect type cannot be called like the defect-free images
    return "defective" if defect.casefold() == GOOD else defect


def refuse_good_folders(
    folder: Path, defective: Iterable[Path], patterns: str | Sequence[str]
) -> None:
    """Refuse defective images in a folder called good, unless a pattern calls it so itself.

    Raises
    ------
    InputError
        Naming the folder, and the others beside it.
    """
    spelt_out = {part.casefold() for each in _several(patterns) for part in PurePath(each).parts}
    for file in () if GOOD in spelt_out else defective:
        for good in file.parents[: len(file.relative_to(folder).parts) - 1]:
            if good.name.casefold() == GOOD:
                others = [each for each in visible(good.parent) if each != good]
                beside = base.few([each.relative_to(folder).as_posix() for each in others])
                raise InputError(
                    f"{good}: is called good and lies below `defective` of the dataset; name the "
                    f"folders of defects there, here {beside or 'there are none'}"
                )
