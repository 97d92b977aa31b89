"""Categories from tar archives, local or downloaded, unpacked once and kept.

Below ``resources/unpacked/{dataset}`` every category has its folder and, beside it, a note of the
archive it came from. No rule owns that place, so that no change of a setting or of code, and no
failed job, ever makes the workflow fetch gigabytes again that it had.
"""

import contextlib
import csv
import fcntl
import lzma
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from defectbench.errors import InputError, is_about_storage
from defectbench.sources.downloads import download
from defectbench.storage import write_text

WHOLE = "all"
"""In the list of addresses, the archive with all categories."""


class Archive(NamedTuple):
    """Where an archive is to be had and how it is recognised; 0 or empty if not known.

    Attributes
    ----------
    holds
        A category, or `WHOLE`.
    urls
        Addresses, tried in turn; none for a local file.
    path
        The local file, or empty.
    size
        In bytes.
    algorithm, digest
        Name of the hash and what it must be.
    """

    holds: str
    urls: list[str]
    path: str = ""
    size: int = 0
    algorithm: str = ""
    digest: str = ""

    @property
    def identity(self) -> str:
        """Tells whether it is the same archive; addresses stand in for a hash that is unknown."""
        return self.digest or " ".join(self.urls)


def category_archive(category: str, entry: Mapping[str, Any], sources_csv: Path) -> Archive:
    """The archive that a dataset's category comes from.

    Parameters
    ----------
    category
        Its name.
    entry
        The dataset's entry in the config: the archive of all categories, unless ``archives:
        single`` or an address for this category asks for one of its own.
    sources_csv
        Addresses, sizes and hashes; need not exist if the config has addresses.

    Raises
    ------
    InputError
        If there is no address.
    """
    urls = entry.get("urls", {})
    single = category in urls or (entry.get("archives") == "single" and WHOLE not in urls)
    holds = category if single else WHOLE
    if holds in urls:
        return Archive(holds, urls[holds])
    if not sources_csv.is_file():
        raise InputError(f"{sources_csv}: missing; a downloaded dataset needs its addresses there")
    with open(sources_csv, encoding="utf-8", newline="") as stream:
        listed = [row for row in csv.DictReader(stream) if row["category"] == holds]
    if not listed:
        raise InputError(f"{sources_csv}: no address for category {holds}")
    first = listed[0]
    algorithm, digest = ("sha256", first["sha256"]) if first["sha256"] else ("md5", first["md5"])
    return Archive(
        holds, [row["url"] for row in listed], "", int(first["bytes"] or 0), algorithm, digest
    )


def unpacked_category(
    category: str,
    archive: Archive,
    wanted: Sequence[str],
    unpacked: Path,
    downloads: Path,
    *,
    keep: bool,
) -> Path:
    """Folder of a category, unpacked and, before that, downloaded if need be.

    Of an archive with all categories, those that are wanted and not there yet are unpacked in one
    go; other jobs that need the same archive wait meanwhile.

    Parameters
    ----------
    category
        Its name.
    archive
        Where it is.
    wanted
        All categories of this run.
    unpacked
        Folder of the dataset's unpacked categories.
    downloads
        Folder for archives under way.
    keep
        Whether a downloaded archive is kept beside what was unpacked.

    Raises
    ------
    InputError
        If it cannot be had, is damaged, lacks the category or holds links, devices, absolute
        paths or ``..``.
    """
    folder = unpacked / category
    with _one_at_a_time(downloads / f"{unpacked.name}_{archive.holds}.lock"):
        if _came_from(folder) == archive.identity:
            return folder
        file = (
            Path(archive.path) if archive.path else _downloaded(archive, unpacked.name, downloads)
        )
        missing = [name for name in wanted if _came_from(unpacked / name) != archive.identity]
        some = [category] if archive.holds == category else missing
        unpack(file, some, unpacked, archive.identity)
        if not archive.path and not keep:
            file.unlink()
    if not folder.is_dir():
        raise InputError(f"{file}: the archive holds no {category}/train/good")
    return folder


def unpack(archive: Path, categories: Sequence[str], unpacked: Path, identity: str) -> None:
    """Unpack some categories of an archive, each complete or not at all.

    Raises
    ------
    InputError
        If the archive is damaged or holds absolute paths, ``..``, links or devices.
    """
    made = unpacked / ".unpacking"
    shutil.rmtree(made, ignore_errors=True)  # of a run that was killed
    made.mkdir(parents=True)
    try:
        _extract(archive, set(categories), made)
        for category in categories:
            if (made / category / "train" / "good").is_dir():
                shutil.rmtree(unpacked / category, ignore_errors=True)
                (made / category).rename(unpacked / category)
                write_text(_note(unpacked / category), identity)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _extract(archive: Path, categories: set[str], folder: Path) -> None:
    def checked(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        name = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir()):
            raise InputError(f"{archive}: {member.name} is a link or device; nothing was unpacked")
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{archive}: {member.name} leads outside; nothing was unpacked")
        if name.parts[:1] and name.parts[0] in categories:
            return tarfile.data_filter(member, path).replace(mode=None)  # that of the umask
        return None

    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=checked)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if is_about_storage(error):
            raise
        raise InputError(f"{archive}: cannot be unpacked: {error}; delete it") from error


def _downloaded(archive: Archive, dataset: str, downloads: Path) -> Path:
    file = downloads / f"{dataset}_{archive.holds}.tar.xz"
    of_all = archive.holds == WHOLE
    try:
        download(
            archive.urls,
            file,
            size=archive.size,
            algorithm=archive.algorithm,
            digest=archive.digest,
        )
    except InputError as error:
        what = "all categories in one archive" if of_all else f"category {archive.holds}"
        other = "archives: single" if of_all else "archives: whole"
        raise InputError(
            f"{what}: {error}\nFetch it by other means and put it at {file.resolve()}; or, "
            "unpacked, set `source: folder` and `path` of the dataset; or give another address in "
            f"`urls: {{{archive.holds}: [ADDRESS]}}` of the dataset; or try `{other}`"
        ) from error
    return file


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.from")


def _came_from(folder: Path) -> str | None:
    """Identity of the archive that a category was unpacked from; None if it is not there."""
    note = _note(folder)
    return note.read_text(encoding="utf-8") if note.is_file() and folder.is_dir() else None


@contextlib.contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock that the system gives up when the process ends, however it ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another job unpacks the same archive: waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
