"""Images of a dataset beside those of its source: new ones, calibration images, reviewed ones."""

from pathlib import Path

from defectbench.config.plan import (
    Cell,
    Config,
    all_categories,
    chosen_categories,
    exportable_cells,
)
from defectbench.errors import InputError
from defectbench.images.layout import images_below
from defectbench.sources.reviewed import Reviewed, read_review

CATEGORY = "{category}"
"""Stands for a category's name in the paths of `review`."""


def new_folders(config: Config, dataset: str) -> dict[str, Path]:
    """Folder of the unlabelled images of each chosen category that has one; see `new`.

    Raises
    ------
    InputError
        If the dataset names a folder that is not there, or that has none for any category.
    """
    entry, key = config["datasets"][dataset], f"config: datasets.{dataset}.new"
    if "new" not in entry:
        return {}
    chosen = chosen_categories(config, dataset)
    folders = {category: _named_folder(config, dataset, "new", category) for category in chosen}
    found = {category: folder for category, folder in folders.items() if folder.is_dir()}
    if not found:
        raise InputError(
            f"{key}: {entry['new']} has no folder named like a category: {', '.join(chosen)}"
        )
    return found


def new_image_cells(config: Config, dataset: str) -> list[Cell]:
    """Detectors that score new images: all that can be exported, on categories that have some.

    Which of them is recommended is known only when all have run.

    Raises
    ------
    InputError
        If there are new images and no detector can be exported.
    """
    folders, key = new_folders(config, dataset), f"config: datasets.{dataset}.new"
    if not folders:
        return []
    if config["precision"] != "fp32":
        raise InputError(f"{key}: exported detectors compute in fp32, so set precision: fp32")
    try:
        return [cell for cell in exportable_cells(config, dataset) if cell.category in folders]
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def calibration_folder(config: Config, dataset: str, category: str) -> Path | None:
    """Folder of a category's calibration images; None of a dataset that names none.

    Raises
    ------
    InputError
        If the dataset names a folder that is not there, or that has no images for the category.
    """
    if "calibration" not in config["datasets"][dataset]:
        return None
    folder = _named_folder(config, dataset, "calibration", category)
    if not images_below(folder):
        raise InputError(
            f"config: datasets.{dataset}.calibration: {folder}: no images; it is for good parts of "
            f"{category}"
        )
    return folder


def reviewed_images(config: Config, dataset: str, category: str) -> list[Reviewed]:
    """Images of a category that came back from the line; see `review`.

    Raises
    ------
    InputError
        If the review cannot be used.
    """
    review = config["datasets"][dataset].get("review")
    if review is None:
        return []
    file, folder = (Path(review[key].replace(CATEGORY, category)) for key in ("csv", "images"))
    if CATEGORY in review["csv"] and not file.is_file():
        return []
    try:
        if CATEGORY not in review["csv"] and len(all_categories(config, dataset)) > 1:
            raise InputError(f"there are several categories: put {CATEGORY} into csv and images")
        return read_review(file, folder, review.get("train", False))
    except InputError as error:
        raise InputError(f"config: datasets.{dataset}.review: {error}") from error


def _named_folder(config: Config, dataset: str, key: str, category: str) -> Path:
    """Folder of a category below the one that a key names, or of the only category that one itself.

    Raises
    ------
    InputError
        If the key names a folder that is not there.
    """
    named = Path(config["datasets"][dataset][key])
    if not named.is_dir():
        raise InputError(f"config: datasets.{dataset}.{key}: {named}: no such folder")
    alone = len(all_categories(config, dataset)) == 1
    return named if alone and not (named / category).is_dir() else named / category
