"""What is packed in a tar or zip archive, read to its end so that damage anywhere is seen."""

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from defectbench.errors import InputError, is_about_storage
from defectbench.images.decoding import open_image, reading
from defectbench.images.layout import is_image

OPENERS = {
    b"\x1f\x8b": gzip.open,
    b"BZh": lambda file: _Decompressed(file, bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": lambda file: _Decompressed(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
}
"""By the first bytes of a compressed tar archive."""

ZIP = (b"PK\3\4", b"PK\5\6")
"""First bytes of a zip archive, the latter of an empty one."""

BLOCK = 1 << 20

LARGEST_RATIO = 100
SMALLEST_LIMIT = 64 << 20
"""An archive may hold so many times its own size, and so many bytes in any case."""

ENCRYPTED, SIZES_FOLLOW = 1, 8
"""Bits of a zip member's flags."""

ZIP_END = b"PK\5\6"
ZIP_END_BYTES, ZIP_HEADER_BYTES = 22, 30
ZIP_SIZES_BYTES = (0, 12, 16, 20, 24)
"""What the checksum and sizes behind a zip's member take; some writers leave them out."""


class Member(NamedTuple):
    """A file of an archive, to be read before the next one; None in its place for a folder."""

    name: PurePosixPath
    content: IO[bytes] | None


def extract(archive: Path, categories: Collection[str], folder: Path) -> None:
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
        Where to put them, empty. Who may read them is up to the umask.

    Raises
    ------
    InputError
        If the archive is damaged, encrypted, unpacks to far more than its size or holds absolute
        paths, ``..``, links, devices, a file twice, or bytes that belong to no file. It says why:
        the caller knows where the archive is from, and what can be done.
    """
    files = set()
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
                if member.name in files:
                    raise ValueError(f"{member.name} is in it twice")
                if member.content is not None:
                    files.add(member.name)
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
        raise InputError(f"cannot be unpacked ({reason})") from error


def _put(member: Member, folder: Path) -> None:
    place = folder / member.name
    if member.content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "xb") as stream:  # some file systems take a.png and A.png for one file
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


class _Decompressed:
    """What bzip2 or xz streams hold, one behind the other, and no more than zeros behind them.

    The files of the modules pass over whatever follows.
    """

    def __init__(
        self,
        file: IO[bytes],
        decompressor: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    ) -> None:
        self._file, self._new, self._stream = file, decompressor, decompressor()

    def read(self, size: int) -> bytes:
        content = b""
        while not content:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data.lstrip(b"\0")
                while not packed:
                    if not (block := self._file.read(BLOCK)):
                        return b""
                    packed = block.lstrip(b"\0")
                self._stream = self._new()
            elif self._stream.needs_input and not (packed := self._file.read(BLOCK)):
                raise ValueError("it is cut short")
            content = self._stream.decompress(packed, size)
        return content


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
    with _open_tar(stream, limit) as tar:
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


def _open_tar(stream: IO[bytes], limit: int) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=_Limited(stream, limit), mode="r|", bufsize=BLOCK)
    except tarfile.ReadError as error:
        raise ValueError(f"neither a tar nor a zip archive: {error}") from error


def _zip_members(stream: IO[bytes], limit: int) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as packed:
        _check_size(sum(entry.file_size for entry in packed.infolist()), limit)
        _check_that_all_is_listed(stream, packed)
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


def _check_that_all_is_listed(stream: IO[bytes], packed: zipfile.ZipFile) -> None:
    """Refuse what a zip's list does not name, such as another archive in front of it.

    Members lie one behind the other from the file's start to the list, and the list's end, with a
    comment, is that of the file (PKWARE's APPNOTE 6.3.10, 4.3).
    """
    end, behind = 0, (0,)
    for entry in sorted(packed.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset - end not in behind:
            raise ValueError(f"bytes in front of {entry.filename} that belong to nothing")
        stream.seek(entry.header_offset)
        name, extra = struct.unpack("<26xHH", stream.read(ZIP_HEADER_BYTES))
        end = entry.header_offset + ZIP_HEADER_BYTES + name + extra + entry.compress_size
        behind = ZIP_SIZES_BYTES if entry.flag_bits & SIZES_FOLLOW else (0,)
    if packed.start_dir - end not in behind:
        raise ValueError("bytes in front of its list of files that belong to nothing")
    comment = len(packed.comment)
    stream.seek(-ZIP_END_BYTES - comment, os.SEEK_END)
    mark, stated = struct.unpack("<4s16xH", stream.read(ZIP_END_BYTES))
    if (mark, stated) != (ZIP_END, comment):
        raise ValueError("more behind its end, or its comment is cut short")
