"""Names of files: as keys of results, as parts of other names, and as people see them."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

LONGEST = 120
"""Bytes of a name that other names are made from: endings and temporary names must fit, too."""

DIGITS = 12
"""Hexadecimal digits that tell names apart where the names themselves do not."""

FORMULA = ("=", "+", "-", "@")
"""What begins a formula in programs that open tables."""

PERIODIC = re.compile(r"(.+)\1{19}$", re.DOTALL)
"""Snakemake takes such an end for a rule that calls itself."""

UNFIT = frozenset("{}<>\\/")
"""Characters that stand for something else in patterns of paths."""


def printable(name: str) -> str:
    r"""A name as terminals and tables can show it: what cannot be seen is ``\x1b`` or ``\u202e``,
    and a byte that is no UTF-8 ``\xfc``."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in name)


def visible(text: str) -> str:
    """Lines that name files, as terminals can show them."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(letter: str) -> str:
    number = ord(letter)
    if number < 0x80 or 0xDC80 <= number <= 0xDCFF:  # the latter are Python's stand-ins for bytes
        return f"\\x{number & 0xFF:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def in_table(name: str) -> str:
    r"""A relative path as a cell of a table: visible, and none that a spreadsheet would compute.

    No two paths have the same cell: a backslash that stands in a name is ``\\``.
    """
    shown = printable(name.replace("\\", "\\\\"))
    return f"./{shown}" if shown.startswith(FORMULA) else shown


def unfit_path(path: str) -> str:
    """Why results cannot be kept under a path of the user's; empty if they can."""
    if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in path):
        return "the name is not UTF-8; rename it"
    if any(letter != "\t" and (ord(letter) < 0x20 or ord(letter) == 0x7F) for letter in path):
        return "the name holds control characters, such as a line break; rename it"
    return ""


def unfit_key(name: str) -> str:
    """Why results cannot be kept under a name, such as a category's; empty if they can."""
    if why := unfit_path(name):
        return why
    if found := sorted(UNFIT & set(name)):
        return f"such a name cannot hold {' '.join(found)}; rename it"
    if name.startswith((*FORMULA, ".", "~")):
        return f"such a name cannot begin with {name[0]}; rename it"
    if len(name.encode()) > LONGEST:
        return f"such a name has at most {LONGEST} bytes; rename it"
    if PERIODIC.search(name):
        return "such a name cannot end with one thing twenty times; rename it"
    return ""


def short(name: str) -> str:
    """A name from which others can be made: if it is long, its beginning and a digest."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) <= LONGEST:
        return name
    return f"{encoded[: LONGEST - DIGITS - 1].decode(errors='ignore')}~{_digest(name)}"


def named_after(path: str, folder: Path, suffix: str) -> Path:
    """Where a file made of another one lies in a folder, below the same folders as that one."""
    *above, name = PurePosixPath(path).parts
    return Path(folder, *above, f"{short(name)}{suffix}")


def link_names(paths: Sequence[str]) -> list[str]:
    """Names for files of several folders in one folder, no two of them alike but for the ending.

    Parameters
    ----------
    paths
        With forward slashes.
    """
    flat = [PurePosixPath(path.replace("/", "__")) for path in paths]
    stems = Counter(name.stem.casefold() for name in flat)
    return [
        short(name.stem if stems[name.stem.casefold()] == 1 else f"{name.stem}~{_digest(path)}")
        + name.suffix
        for name, path in zip(flat, paths, strict=True)
    ]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:DIGITS]
