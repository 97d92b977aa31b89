"""Where images come from: a download, a local archive or folder, a Python package.

Every source ends in the same place, one folder per category in the MVTec layout::

    train/good/*.png   test/good/*.png   test/{defect}/*.png   ground_truth/{defect}/*_mask.png

It is a folder of links: nothing is ever written into the user's own, and nothing is copied.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from defectbench.errors import InputError
from defectbench.sources.elpv import link_cells

LAYOUT = ("train", "test", "ground_truth")


def link_category(category_folder: Path, output: Path) -> None:
    """Link a category in the MVTec layout to `output`, complete or not at all.

    Raises
    ------
    InputError
        If it has no defect-free training images.
    """
    with folder_made_whole(output) as made:
        _link_folder(category_folder, made)


def link_elpv(category: str, output: Path) -> None:
    """Lay the cells of one type of the package elpv-dataset out like MVTec AD.

    Raises
    ------
    InputError
        If the package is not installed or has no such type.
    """
    with folder_made_whole(output) as made:
        link_cells(category, made)


def folder_categories(path: str | Path) -> list[str]:
    """Names of the subfolders that hold ``train/good``, sorted."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; mend `path` of the dataset in the config")
    return sorted(entry.name for entry in folder.iterdir() if (entry / "train" / "good").is_dir())


@contextlib.contextmanager
def folder_made_whole(output: Path) -> Iterator[Path]:
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


def _link_folder(category_folder: Path, output: Path) -> None:
    """A folder of links, so that nothing is ever written into the user's own."""
    if not (category_folder / "train" / "good").is_dir():
        raise InputError(f"{category_folder}: no folder train/good with defect-free images there")
    output.mkdir()
    for name in LAYOUT:
        if (category_folder / name).is_dir():
            (output / name).symlink_to((category_folder / name).resolve())
