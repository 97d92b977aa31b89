"""Digests of files and folders by their content, quick where nothing has changed."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from defectbench.cpus import usable_cpus
from defectbench.folders import walk
from defectbench.progress import Progress
from defectbench.storage import read_json, write_text

ABSENT = "absent"
UNREADABLE = "unreadable"

State = list[int] | None
"""What changes when a file is written or replaced; None where there is no file."""


class Contents:
    """Contents of files, read again only where size, times or place on the disk have changed.

    The time of the last change (mtime) proves nothing: a file restored from a backup is older than
    the file that it replaces. The time at which a file's entry last changed (ctime) does, because
    no program can set it.

    Parameters
    ----------
    memory
        JSON file that keeps digests between runs. If it cannot be written, the next run reads all
        files again.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._news = False

    def digest(self, path: str | Path) -> str:
        """Digest of a file, or of the names and contents of all files below a folder.

        Links are followed.

        Returns
        -------
        str
            32 hexadecimal digits, or ``absent``.
        """
        files = dict(sorted(_files(path)))
        if not files and not os.path.isdir(path):
            return ABSENT
        digests = self._digests(list(files.values()))
        if "" in files:
            return digests[0]
        lines = (f"{name}\0{found}\n" for name, found in zip(files, digests, strict=True))
        return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()

    def _digests(self, files: Sequence[str]) -> list[str]:
        """Digest of each file, remembered or read."""
        known, states = self._known, {file: _state(file) for file in files}
        unknown = [
            file
            for file, state in states.items()
            if state is not None and known.get(file, [None])[:-1] != state
        ]
        if unknown:
            with ThreadPoolExecutor(usable_cpus()) as pool:
                progress = Progress(len(unknown), "contents", "files", if_long=True)
                for file, digest in zip(unknown, pool.map(_digest, unknown), strict=True):
                    known[file] = [*states[file], digest]
                    progress.advance(1)
            self._news = True
        return [ABSENT if states[file] is None else known[file][-1] for file in files]

    def save(self) -> None:
        """Remember what was read, for the next run."""
        if self._news:
            with contextlib.suppress(OSError):
                # in ASCII, for a name may be no UTF-8
                write_text(self._memory, json.dumps(self._known))
            self._news = False

    @cached_property
    def _known(self) -> dict[str, list[Any]]:
        """State and digest of every file that was ever read, by its path."""
        try:
            return dict(read_json(self._memory))
        except (OSError, ValueError, TypeError):
            return {}


def states(path: str | Path) -> dict[str, State]:
    """State of a file, or of every file below a folder, by name; links are followed."""
    return {name: _state(file) for name, file in _files(path)}


def _files(path: str | Path) -> Iterator[tuple[str, str]]:
    """Every file, hidden ones too, under its name relative to `path`."""
    if os.path.isfile(path):
        yield "", os.path.realpath(path)
    for folder, real, names in walk(path, for_images=False):
        for name in names:
            relative = os.path.relpath(os.path.join(folder, name), path)
            yield os.fsencode(relative).decode(errors="backslashreplace"), os.path.join(real, name)


def _state(file: str) -> State:
    try:
        status = os.stat(file)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):  # of a pipe, a read would never end
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return UNREADABLE  # the stage that reads it says so
