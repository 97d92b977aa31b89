"""Digests of what lies on the user's disk, by content, and quick when nothing has changed."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from defectbench.provenance import file_sha256
from defectbench.storage import read_json, write_json


def content_fingerprint(path: str | Path, memory: Path) -> str:
    """Digest of a file, or of names and contents of all files below a folder, links followed.

    As a rule parameter it makes the workflow notice that files were added, changed, replaced or
    removed, and nothing else. Files whose size, times and place on the disk are those of the last
    call are not read again.

    Parameters
    ----------
    path
        File or folder; an absent one has the digest of an empty folder.
    memory
        JSON file that remembers digests between calls; made if it can be.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    files = sorted(_files(Path(path)))
    known = _read_memory(memory)
    states = {name: _state(file) for name, file in files}

    def digest_of(entry: tuple[str, Path]) -> str:
        name, file = entry
        if states[name] is None:
            return "absent"  # a link to nowhere
        remembered = known.get(name, {})
        return remembered["sha256"] if remembered.get("state") == states[name] else _read(file)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = dict(zip(states, pool.map(digest_of, files), strict=True))
    found = {name: {"state": states[name], "sha256": digests[name]} for name in states}
    if found != known:
        _write_memory(memory, found)
    lines = "".join(f"{name}\0{digests[name]}\n" for name in digests)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Every file, under its name relative to `path`; a folder is entered once on each way down."""
    if path.is_file():
        yield "", path
    entered: set[str] = set()
    for folder, subfolders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()  # links in a circle
            continue
        entered.add(real)
        for name in names:
            file = Path(folder, name)
            yield os.fsencode(file.relative_to(path)).decode(errors="backslashreplace"), file


def _state(file: Path) -> list[int] | None:
    """What changes when a file is written or replaced; None if there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError:
        return "unreadable"  # the index names it


def _read_memory(memory: Path) -> dict[str, dict]:
    try:
        return read_json(memory)
    except (OSError, ValueError):
        return {}


def _write_memory(memory: Path, found: dict[str, dict]) -> None:
    # where nothing must be written, everything is read again the next time
    with contextlib.suppress(OSError):
        write_json(memory, found)
