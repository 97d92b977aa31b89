"""Images that a dataset's settings name: by folders, or by globs of folders or files."""

import glob
import itertools
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from defectbench.errors import InputError
from defectbench.images.layout import images_below, visible
from defectbench.sources import base

GOOD = "good"


def images_named(folder: Path, patterns: str | Sequence[str]) -> dict[Path, str]:
    """Images below a folder that patterns name, sorted, each with its defect.

    That is the folder below the one that is named, if there is one. Links are followed, and what is
    hidden is left out.
    """
    found: dict[Path, str] = {}
    for pattern in _several(patterns):
        wanted = PurePath(pattern).parts
        for file in images_below(_searched(folder, wanted)):
            parts = file.relative_to(folder).parts
            named = [length for length in range(len(parts) + 1) if _fits(parts[:length], wanted)]
            if named and not any(part.startswith(".") for part in parts):
                found.setdefault(file, _defect(folder, parts, named[0]))
    return dict(sorted(found.items()))


def _several(patterns: str | Sequence[str]) -> Sequence[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def _searched(folder: Path, pattern: Sequence[str]) -> Path:
    """The folder with all images that a pattern names: what it spells out."""
    plain = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern))
    spelt_out = folder.joinpath(*plain)
    return spelt_out.parent if plain and not spelt_out.is_dir() else spelt_out


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is one that a pattern names; ``**`` stands for any folders, or none."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


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
