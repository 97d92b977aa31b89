"""Categories from tar archives, local or downloaded, unpacked once and kept.

Below ``resources/unpacked/{dataset}`` every category has its folder and, beside it, a note of the
archive that the category came from. These files are no rule's outputs: Snakemake removes outputs
of failed or changed jobs, and the workflow would then fetch gigabytes again that it had.
"""

import contextlib
import fcntl
import lzma
import shutil
import sys
import tarfile
import zlib
from abc import abstractmethod
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from defectbench.errors import InputError, is_about_storage
from defectbench.sources.base import ImageSource
from defectbench.sources.fetching import DOWNLOADS, download
from defectbench.sources.mvtec_folder import link_layout
from defectbench.storage import write_text

UNPACKED = Path("resources", "unpacked")

WHOLE = "all"
"""In the list of addresses, the archive with all categories."""


class Tarball(NamedTuple):
    """Where an archive is and how it is recognised; what is not known is 0 or empty.

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
        """Text that is equal for equal archives; addresses stand in for a hash that is unknown."""
        return self.digest or " ".join(self.urls)


class PackedSource(ImageSource):
    """A source whose categories lie in tar archives: unpacked once, then linked."""

    required = frozenset({"all_categories"})
    checked_before = False

    @abstractmethod
    def tarball(self, category: str, origin: Any) -> Tarball:
        """The archive that a category is in; `origin` is what `origin` says of the category."""

    def found(self) -> list[str]:
        return self.entry["all_categories"]

    def lay_out(self, category: str, folder: Path, origin: Any) -> None:
        link_layout(self._unpacked(category, self.tarball(category, origin)), folder)

    def _unpacked(self, category: str, archive: Tarball) -> Path:
        """Folder of a category, unpacked and, before that, downloaded if need be.

        Of an archive with all categories, those that are chosen and not there yet are unpacked in
        one go; other jobs that need the same archive wait meanwhile.
        """
        unpacked, chosen = UNPACKED / self.dataset, self.config["categories"]
        with _one_at_a_time(DOWNLOADS / f"{self.dataset}_{archive.holds}.lock"):
            names = [category]
            if archive.holds == WHOLE:
                names += [name for name in self.found() if chosen == "all" or name in chosen]
            missing = {name for name in names if _came_from(unpacked / name) != archive.identity}
            if category in missing:
                file = Path(archive.path or _downloaded(archive, self.dataset))
                unpack(file, missing, unpacked, archive.identity)
                if not archive.path and not self.entry.get("keep_archive"):
                    file.unlink()
                if _came_from(unpacked / category) != archive.identity:
                    raise InputError(f"{file}: the archive holds no {category}/train/good")
        return unpacked / category


def unpack(archive: Path, categories: Collection[str], unpacked: Path, identity: str) -> None:
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
        _extract(archive, categories, made)
        for category in categories:
            if (made / category / "train" / "good").is_dir():
                shutil.rmtree(unpacked / category, ignore_errors=True)
                (made / category).rename(unpacked / category)
                write_text(_note(unpacked / category), identity)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _extract(archive: Path, categories: Collection[str], folder: Path) -> None:
    """Unpack an archive's members that lie in some categories; refuse what could do harm."""

    def checked(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        name = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir()):
            raise InputError(f"{archive}: {member.name} is a link or device; nothing was unpacked")
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{archive}: {member.name} leads outside; nothing was unpacked")
        if name.parts[:1] and name.parts[0] in categories:
            return tarfile.data_filter(member, path).replace(mode=None)  # the umask decides
        return None

    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=checked)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if is_about_storage(error):
            raise  # a full disk says nothing of the archive
        raise InputError(f"{archive}: cannot be unpacked: {error}; delete it") from error


def _downloaded(archive: Tarball, dataset: str) -> Path:
    """The archive's file, fetched if need be; an error says how else to get the images."""
    file = DOWNLOADS / f"{dataset}_{archive.holds}.tar.xz"
    try:
        download(archive.urls, file, archive.size, archive.algorithm, archive.digest)
    except InputError as error:
        what, other = f"category {archive.holds}", "whole"
        if archive.holds == WHOLE:
            what, other = "all categories in one archive", "single"
        raise InputError(
            f"{what}: {error}\nFetch it by other means and put it at {file.resolve()}; or, "
            "unpacked, set `source: folder` and `path` of the dataset; or give another address in "
            f"`urls: {{{archive.holds}: [ADDRESS]}}` of the dataset; or try `archives: {other}`"
        ) from error
    return file


def _note(folder: Path) -> Path:
    """File beside a category's folder that names the archive."""
    return folder.with_name(f"{folder.name}.from")


def _came_from(folder: Path) -> str | None:
    """Identity of the archive that a category was unpacked from; None if it is not there."""
    note = _note(folder)
    return note.read_text(encoding="utf-8") if note.is_file() and folder.is_dir() else None


@contextlib.contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock, which the system releases when the process ends, however it ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another job unpacks the same archive: waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
