"""Where images come from: a download, a local archive or folder, a Python package.

Every source ends in the same place, one folder per category in the MVTec layout::

    train/good/*.png   test/good/*.png   test/{defect}/*.png   ground_truth/{defect}/*_mask.png

It is a folder of links: nothing is ever written into the user's own, and nothing is copied.
"""

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from defectbench.errors import InputError

LAYOUT = ("train", "test", "ground_truth")
ELPV_TYPES = {"monocrystalline": "mono", "polycrystalline": "poly"}
ELPV_BLOCK = 20


def link_category(category_folder: Path, output: Path) -> None:
    """Link a category in the MVTec layout to `output`, complete or not at all.

    Raises
    ------
    InputError
        If it has no defect-free training images.
    """
    with _folder_made_whole(output) as made:
        _link_folder(category_folder, made)


def link_elpv(category: str, output: Path) -> None:
    """Lay the cells of one type of the package elpv-dataset out like MVTec AD.

    Raises
    ------
    InputError
        If the package is not installed or has no such type.
    """
    with _folder_made_whole(output) as made:
        _link_elpv(category, made)


def folder_categories(path: str | Path) -> list[str]:
    """Names of the subfolders that hold ``train/good``, sorted."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; mend `path` of the dataset in the config")
    return sorted(entry.name for entry in folder.iterdir() if (entry / "train" / "good").is_dir())


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
