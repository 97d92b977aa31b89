"""Where images come from: a download, a local archive or folder, a Python package.

Every source ends in the same place, one folder per category in the MVTec layout::

    train/good/*.png   test/good/*.png   test/{defect}/*.png   ground_truth/{defect}/*_mask.png
"""

import csv
import hashlib
import importlib.util
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectbench.downloads import download
from defectbench.errors import InputError

LAYOUT = ("train", "test", "ground_truth")
ELPV_TYPES = {"monocrystalline": "mono", "polycrystalline": "poly"}
ELPV_BLOCK = 20


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
        Addresses and MD5 sums per category, for ``source: download``.
    output
        Folder to make.

    Raises
    ------
    InputError
        If the source lacks the category or an archive does not have the expected content.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{category}.") as scratch:
        made = Path(scratch, category)
        if source["source"] == "download":
            _download_category(category, source, sources_csv, output, Path(scratch))
        elif source["source"] == "elpv":
            _link_elpv(category, made)
        else:
            _link_folder(Path(source["path"], category), made)
        if output.is_dir():
            shutil.rmtree(output)
        made.rename(output)


def unpack_archive(archive: Path, output: Path) -> None:
    """Unpack a tar archive into a new folder, refusing members that would leave it.

    Raises
    ------
    InputError
        If the archive is damaged or has absolute paths, ``..``, outward links or devices.
    """
    output.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(output, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(output)
        raise InputError(f"{archive}: cannot be unpacked: {error}") from error


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
        status = file.stat()
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def _download_category(
    category: str, source: Mapping[str, Any], sources_csv: Path, output: Path, scratch: Path
) -> None:
    """Fetch and unpack one archive; a broken-off transfer waits beside the output."""
    urls, md5 = _addresses(category, source, sources_csv)
    archive = output.parent / f"{category}.archive"
    try:
        download(urls, archive, algorithm="md5", digest=md5)
    except InputError as error:
        raise InputError(
            f"category {category}: {error}\nFetch it by other means, unpack it to "
            f"FOLDER/{category}, and set `source: folder, path: FOLDER`; or give another address "
            f"in `urls: {{{category}: [ADDRESS]}}` of the dataset"
        ) from error
    unpack_archive(archive, scratch / "unpacked")
    if not (scratch / "unpacked" / category / "train" / "good").is_dir():
        raise InputError(f"{archive}: the archive holds no {category}/train/good")
    (scratch / "unpacked" / category).rename(scratch / category)
    archive.unlink()


def _addresses(
    category: str, source: Mapping[str, Any], sources_csv: Path
) -> tuple[list[str], str]:
    """Addresses to try and the expected MD5, which only the listed archives have."""
    own = source.get("urls", {}).get(category)
    if own:
        return own, ""
    if not sources_csv.is_file():
        raise InputError(f"{sources_csv}: missing; a downloaded dataset needs its addresses there")
    with open(sources_csv, encoding="utf-8", newline="") as stream:
        entries = [row for row in csv.DictReader(stream) if row["category"] == category]
    if not entries:
        raise InputError(f"{sources_csv}: no address for category {category}")
    return [entry["url"] for entry in entries], entries[0]["md5"]


def _link_folder(category_folder: Path, output: Path) -> None:
    """A folder of links, so that nothing is ever written into the user's own."""
    if not (category_folder / "train" / "good").is_dir():
        raise InputError(f"{category_folder}: no folder train/good with defect-free images there")
    output.mkdir()
    for name in LAYOUT:
        if (category_folder / name).is_dir():
            (output / name).symlink_to((category_folder / name).resolve())


def _link_elpv(category: str, output: Path) -> None:
    """Lay the ELPV cells out like MVTec: certain labels only, split in contiguous blocks.

    Cells of one solar module are neighbours in file order and look alike. Alternate blocks of
    `ELPV_BLOCK` defect-free cells go to train and test; shuffling would put near-copies of the
    test cells into the training set and flatter every detector. All defective cells are tested.
    """
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise InputError("dataset elpv: the package elpv-dataset is not installed")
    data = Path(package.origin).parent / "data"
    if category not in ELPV_TYPES:
        raise InputError(f"dataset elpv: no category {category}; it has {', '.join(ELPV_TYPES)}")
    defect_free = 0
    for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, cell_type = line.split()
        if cell_type != ELPV_TYPES[category] or float(probability) not in (0, 1):
            continue
        if float(probability) == 1:
            folder = output / "test" / "defective"
        else:
            block = defect_free // ELPV_BLOCK
            folder = output / ("train", "test")[block % 2] / "good"
            defect_free += 1
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(name).name).symlink_to(data / name)
