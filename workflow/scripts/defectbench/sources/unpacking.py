"""Categories from archives, local or downloaded, unpacked once and kept.

Below ``resources/unpacked/{dataset}`` every category has its folder and, beside it, a note of the
archive that the category came from. These files are no rule's outputs: Snakemake removes outputs
of failed or changed jobs, and the workflow would then fetch gigabytes again that it had.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.errors import InputError
from defectbench.locks import lock
from defectbench.sources.base import ImageSource
from defectbench.sources.fetching import DOWNLOADS, download
from defectbench.sources.mvtec_folder import link_layout
from defectbench.sources.packed_files import extract
from defectbench.storage import write_text

UNPACKED = Path("resources", "unpacked")

WHOLE = "all"
"""In the list of addresses, the archive with all categories."""

BY_HAND = "or unpack it yourself, then `source: folder` and its `path` in the dataset's settings"


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
    """A source whose categories lie in archives: unpacked once, then linked."""

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
                take = partial(
                    unpack, categories=missing, unpacked=unpacked, identity=archive.identity
                )
                if archive.path:
                    file = _local(archive.path, take)
                else:
                    file = _downloaded(archive, self.dataset, take)
                    if not self.entry.get("keep_archive"):
                        file.unlink()
                if _came_from(unpacked / category) != archive.identity:
                    raise InputError(
                        f"{file}: the archive holds no {category}/train/good at its top; pack it "
                        f"so; {BY_HAND}"
                    )
        return unpacked / category


def unpack(archive: Path, categories: Collection[str], unpacked: Path, identity: str) -> None:
    """Unpack some categories of an archive, each complete or not at all.

    Parameters and errors are those of `packed_files.extract`: the caller names the archive.
    """
    made = unpacked / ".unpacking"
    shutil.rmtree(made, ignore_errors=True)  # of a run that was killed
    made.mkdir(parents=True)
    try:
        extract(archive, categories, made)
        for category in categories:
            if (made / category / "train" / "good").is_dir():
                shutil.rmtree(unpacked / category, ignore_errors=True)
                (made / category).rename(unpacked / category)
                write_text(_note(unpacked / category), identity)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _local(path: str, take: Callable[[Path], None]) -> Path:
    """An archive of the user's, taken."""
    file = Path(path)
    try:
        take(file)
    except InputError as error:
        raise InputError(f"{file}: {error}; get it again; {BY_HAND}") from error
    return file


def _downloaded(archive: Tarball, dataset: str, take: Callable[[Path], None]) -> Path:
    """The archive's file, taken, and before that fetched if need be.

    An error says how else to get the images.
    """
    file = DOWNLOADS / f"{dataset}_{archive.holds}.tar.xz"
    try:
        download(archive.urls, file, archive.size, archive.algorithm, archive.digest, take)
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
def _one_at_a_time(place: Path) -> Iterator[None]:
    """Keep other jobs from downloading and unpacking the same archive at the same time.

    Where the file system has no locks, that of the temporary files tells jobs of this machine.

    Raises
    ------
    InputError
        If neither has locks.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(place.resolve())).hexdigest()
    for path in (place, Path(tempfile.gettempdir(), f"defectbench-{name}.lock")):
        with open(path, "w") as file:
            try:
                has_locks = lock(file, wait=False)
            except BlockingIOError:
                print("another job unpacks the same archive: waiting for it", file=sys.stderr)
                has_locks = lock(file, wait=True)
            if has_locks:
                yield
                return
    raise InputError(
        f"{place.parent}: its file system has no locks, so that two jobs could unpack one archive "
        f"at the same time: {BY_HAND.removeprefix('or ')}"
    )
