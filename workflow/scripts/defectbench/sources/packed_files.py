"""What is packed in a tar or zip archive, read to its end so that damage anywhere is seen."""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from defectbench.errors import InputError, is_about_storage
from defectbench.images.decoding import open_image, reading
from defectbench.images.layout import is_image

OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""By the first bytes of a compressed tar archive."""

ZIP = b"PK"
BLOCK = 1 << 20

LARGEST_RATIO = 100
SMALLEST_LIMIT = 64 << 20
"""An archive may hold so many times its own size, and so many bytes in any case."""

ENCRYPTED = 1
"""Bit of a zip member's flags."""


class Member(NamedTuple):
    """A file of an archive, to be read before the next one; None in its place for a folder."""

    name: PurePosixPath
    content: IO[bytes] | None


def extract(archive: Path, categories: Collection[str], folder: Path, remedy: str) -> None:
    """Unpack what an archive holds of some categories, and read all the rest of it.

    A plain tar archive has no checksum over what it holds: its images are checked as far as their
    formats tell.

    Parameters
    ----------
    archive
        A zip archive or a tar archive, plain or compressed by gzip, bzip2 or xz.
    categories
        Folders at the top of it.
    folder
        Where to put them. Who may read them is up to the umask.
    remedy
        What the user can do about a damaged one.

    Raises
    ------
    InputError
        If the archive is damaged, encrypted, unpacks to far more than its size or holds absolute
        paths, ``..``, links or devices.
    """
    try:
        with open(archive, "rb") as file:
            start = file.read(max(map(len, OPENERS)))
            file.seek(0)
            limit = max(LARGEST_RATIO * archive.stat().st_size, SMALLEST_LIMIT)
            opener = next((OPENERS[each] for each in OPENERS if start.startswith(each)), None)
            if start.startswith(ZIP):
                members = _zip_members(file, limit)
            else:
                members = _tar_members(opener(file) if opener else file, limit)
            for member in members:
                if member.name.is_absolute() or ".." in member.name.parts:
                    raise ValueError(f"{member.name} leads outside")
                if member.name.parts[:1] and member.name.parts[0] in categories:
                    _put(member, folder)
                    if not (opener or start.startswith(ZIP)):
                        _check_image(member, folder)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of damaged bytes, the modules raise errors of all kinds
        if is_about_storage(error):
            raise  # a full disk says nothing of the archive
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{archive}: cannot be unpacked ({reason}); {remedy}") from error


def _put(member: Member, folder: Path) -> None:
    place = folder / member.name
    if member.content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "wb") as stream:
        shutil.copyfileobj(member.content, stream, BLOCK)


def _check_image(member: Member, folder: Path) -> None:
    place = folder / member.name
    if member.content is None or not is_image(place):
        return
    try:
        with reading(place), open_image(place.read_bytes()):
            pass
    except InputError as error:
        raise ValueError(str(error).removeprefix(f"{folder}/")) from error


def _check_size(size: int, limit: int) -> None:
    """Refuse to unpack far more than an archive's size, which photographs never are."""
    if size > limit:
        raise ValueError(f"it holds more than {limit / 1e6:.0f} MB, {LARGEST_RATIO} times its size")


class _Limited:
    """A stream of which no more is read than a limit allows, headers included."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit, self._done = stream, limit, 0

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._done += len(block)
        _check_size(self._done, self._limit)
        return block


def _tar_members(stream: IO[bytes], limit: int) -> Iterator[Member]:
    with tarfile.open(fileobj=_Limited(stream, limit), mode="r|", bufsize=BLOCK) as tar:
        for entry in tar:
            if entry.issparse() or not (entry.isreg() or entry.isdir()):
                raise ValueError(f"{entry.name} is a link, a device or a file with holes")
            yield Member(
                PurePosixPath(entry.name), tar.extractfile(entry) if entry.isreg() else None
            )
            end = entry.offset_data + entry.size
            tar.fileobj.seek(end)
            if any(tar.fileobj.read(-end % tarfile.BLOCKSIZE)):
                raise ValueError(f"bytes behind {entry.name} that belong to nothing")
        # the module takes a damaged header for the end, which is two blocks of zeros, and stops
        rest = tar.fileobj.read(tarfile.BLOCKSIZE)
        if len(rest) < tarfile.BLOCKSIZE:
            raise ValueError("it is cut short: its end is missing")
        while rest:
            if any(rest):
                raise ValueError("a damaged header, or more behind its end")
            rest = tar.fileobj.read(BLOCK)


def _zip_members(stream: IO[bytes], limit: int) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as packed:
        _check_size(sum(entry.file_size for entry in packed.infolist()), limit)
        for entry in packed.infolist():
            # some programs of Windows write its separators, against the format
            name = PurePosixPath(entry.filename.replace("\\", "/"))
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"{name} is a link or a device")
            if entry.flag_bits & ENCRYPTED:
                raise ValueError(f"{name} is encrypted")
            with packed.open(entry) as content:
                yield Member(name, None if entry.is_dir() else content)
                while content.read(BLOCK):  # its checksum counts also where it is not wanted
                    pass
