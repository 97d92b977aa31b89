"""Where images come from: a download, a local archive or folder, a Python package.

Every source ends in the same place, one folder per category in the MVTec layout::

    train/good/*.png   test/good/*.png   test/{defect}/*.png   ground_truth/{defect}/*_mask.png
"""

import contextlib
import csv
import hashlib
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from defectbench.acquisition.downloads import download
from defectbench.acquisition.elpv import link_elpv
from defectbench.errors import InputError, is_about_storage

WHOLE = "all"
"""In the list of addresses, the archive with all categories."""

LAYOUT = ("train", "test", "ground_truth")


def fetch_category(
    category: str, source: Mapping[str, Any], sources_csv: Path, output: Path
) -> None:
    """Put a category in the MVTec layout at `output`: complete, or not at all.

    Parameters
    ----------
    category
        Its name.
    source
        The dataset's entry in the config. An archive's `path` is the folder it was unpacked to.
    sources_csv
        Addresses, sizes and hashes per category, for ``source: download``.
    output
        Folder to make.

    Raises
    ------
    InputError
        If the source lacks the category or an archive does not have the expected content.
    """
    with _folder_made_whole(output) as made:
        if source["source"] == "download":
            _download_category(category, source, sources_csv, made, output)
        elif source["source"] == "elpv":
            link_elpv(category, made)
        else:
            _link_folder(Path(source["path"], category), made)


def fetch_archive(source: Mapping[str, Any], sources_csv: Path, output: Path) -> None:
    """Download the archive that holds all categories of a dataset.

    Parameters
    ----------
    source
        The dataset's entry in the config.
    sources_csv
        Addresses, sizes and hashes; the row of category ``all`` is this archive's.
    output
        File to make.

    Raises
    ------
    InputError
        If no address gives it; the message says where to put it by hand.
    """
    archive = _listed_archive(WHOLE, source, sources_csv)
    try:
        archive.download(output)
    except InputError as error:
        raise InputError(
            f"all categories in one archive: {error}\nFetch it by other means and set `path` of "
            "the dataset to it; or give another address in `urls: {all: [ADDRESS]}` of the dataset"
        ) from error


def unpack_archive(archive: Path, output: Path) -> None:
    """Unpack a tar archive into a new folder: complete, or not at all.

    Raises
    ------
    InputError
        If the archive is damaged or holds absolute paths, ``..``, links or devices.
    """
    with _folder_made_whole(output) as made:
        _unpack(archive, made)


def folder_categories(path: str | Path) -> list[str]:
    """Names of the subfolders that hold ``train/good``, sorted."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; mend `path` of the dataset in the config")
    return sorted(entry.name for entry in folder.iterdir() if (entry / "train" / "good").is_dir())


def folder_fingerprint(path: str | Path) -> str:
    """Digest over names, sizes and modification times of all files below a folder.

    As a rule parameter it makes the workflow notice that images were added, changed or removed.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob("*")):
        status = file.stat() if file.exists() else file.lstat()  # a link to nowhere
        digest.update(os.fsencode(file) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _folder_made_whole(output: Path) -> Iterator[Path]:
    """Place of a new folder that is renamed to `output` when the block ends without an error."""
    made = output.with_name(f".{output.name}.part")
    if made.exists():  # of a run that was killed
        shutil.rmtree(made)
    made.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield made
        if output.is_dir():
            shutil.rmtree(output)
        made.rename(output)
    finally:
        shutil.rmtree(made, ignore_errors=True)


class _Archive(NamedTuple):
    """Where an archive is to be had and how it is recognised; 0 or empty if not known."""

    urls: list[str]
    size: int = 0
    algorithm: str = ""
    digest: str = ""

    def download(self, path: Path) -> None:
        download(self.urls, path, size=self.size, algorithm=self.algorithm, digest=self.digest)


def _download_category(
    category: str, source: Mapping[str, Any], sources_csv: Path, made: Path, output: Path
) -> None:
    """Fetch and unpack one archive; a broken-off transfer waits beside the output."""
    archive = output.with_name(f"{category}.tar.xz")
    try:
        _listed_archive(category, source, sources_csv).download(archive)
    except InputError as error:
        raise InputError(
            f"category {category}: {error}\nFetch it by other means and put it at "
            f"{archive.resolve()}; or, unpacked to FOLDER/{category}, set `source: folder, path: "
            f"FOLDER`; or give another address in `urls: {{{category}: [ADDRESS]}}` of the "
            "dataset; or set `source: archive` to fetch all categories in one archive"
        ) from error
    unpacked = made.with_name(f".{category}.unpacked")
    with _folder_made_whole(unpacked) as folder:
        _unpack(archive, folder)
    if not (unpacked / category / "train" / "good").is_dir():
        shutil.rmtree(unpacked)
        raise InputError(f"{archive}: the archive holds no {category}/train/good; delete it")
    (unpacked / category).rename(made)
    shutil.rmtree(unpacked)
    archive.unlink()


def _unpack(archive: Path, folder: Path) -> None:
    def regular(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        name = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir()):
            raise InputError(f"{archive}: {member.name} is a link or device; nothing was unpacked")
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{archive}: {member.name} leads outside; nothing was unpacked")
        return tarfile.data_filter(member, path)

    folder.mkdir()
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=regular)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if is_about_storage(error):
            raise
        raise InputError(f"{archive}: cannot be unpacked: {error}; delete it") from error


def _listed_archive(category: str, source: Mapping[str, Any], sources_csv: Path) -> _Archive:
    """Addresses from the config, which come without a hash, or else from the list."""
    own = source.get("urls", {}).get(category)
    if own:
        return _Archive(own)
    if not sources_csv.is_file():
        raise InputError(f"{sources_csv}: missing; a downloaded dataset needs its addresses there")
    with open(sources_csv, encoding="utf-8", newline="") as stream:
        entries = [row for row in csv.DictReader(stream) if row["category"] == category]
    if not entries:
        raise InputError(f"{sources_csv}: no address for category {category}")
    first = entries[0]
    algorithm, digest = ("sha256", first["sha256"]) if first["sha256"] else ("md5", first["md5"])
    return _Archive(
        [row["url"] for row in entries],
        int(first["bytes"] or 0),
        algorithm if digest else "",
        digest,
    )


def _link_folder(category_folder: Path, output: Path) -> None:
    """A folder of links, so that nothing is ever written into the user's own."""
    if not (category_folder / "train" / "good").is_dir():
        raise InputError(f"{category_folder}: no folder train/good with defect-free images there")
    output.mkdir()
    for name in LAYOUT:
        if (category_folder / name).is_dir():
            (output / name).symlink_to((category_folder / name).resolve())
