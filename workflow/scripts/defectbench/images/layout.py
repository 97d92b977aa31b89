"""Files of a category in the MVTec layout."""

from pathlib import Path

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def image_files(folder: Path, split: str) -> list[Path]:
    """Images of all defect folders of a split; training images are those in ``good`` alone."""
    defects = [folder / split / "good"] if split == "train" else visible(folder / split)
    return [
        file for defect in defects if defect.is_dir() for file in visible(defect) if is_image(file)
    ]


def visible(folder: Path) -> list[Path]:
    """Entries of a folder, sorted, without hidden ones; none if there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if not entry.name.startswith("."))


def is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def foreign_files(split: Path) -> list[Path]:
    entries = [entry for folder in visible(split) for entry in (folder, *visible(folder))]
    return [entry for entry in entries if entry.is_file() and not is_image(entry)]
