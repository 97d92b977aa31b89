"""Files of a category in the MVTec layout, and how messages name them to their user."""

import os
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


def with_users_paths(text: str, folder: Path) -> str:
    """A message in which links below a category's folder are the files that they lead to."""
    for link in sorted(_links(folder), key=lambda link: len(str(link)), reverse=True):
        text = text.replace(str(link), str(link.readlink()))
    return text.replace(str(folder), str(users_folder(folder)))


def users_folder(folder: Path) -> Path:
    """The folder with all that a category links to, or the category's own if it links nothing."""
    train = folder / "train"
    if train.is_symlink():
        return train.resolve().parent
    leads_to = [str(link.readlink().parent) for link in _links(folder)]
    return Path(os.path.commonpath(leads_to)) if leads_to else folder


def _links(folder: Path) -> list[Path]:
    """Links that stage `source` made: absolute ones, to what is there."""
    entries = [
        Path(parent, name)
        for parent, folders, files in os.walk(folder)
        for name in (*folders, *files)
    ]
    links = [entry for entry in entries if entry.is_symlink()]
    return [link for link in links if link.readlink().is_absolute() and link.exists()]


def no_categories(folder: Path) -> str:
    """Why a folder holds no category: what was searched, what is there, what was expected."""
    if (folder / "train" / "good").is_dir():
        found = f"that is a category itself: set `path` to {folder.parent}"
        return f"searched {folder} for folders that hold train/good; {found}"
    found = _found_instead(folder)
    return (
        f"searched {folder} for folders that hold train/good; found {found}; expected "
        f"{folder}/CATEGORY/train/good with the defect-free images, and test/good and test/DEFECT "
        "beside train; or name your own folders as `good` and `defective` of the dataset"
    )


def _found_instead(folder: Path) -> str:
    """The nearest that a folder holds to a category: other training folders, folders, images."""
    folders = [entry for entry in visible(folder) if entry.is_dir()]
    inside = [inner for entry in (folder, *folders) for inner in visible(entry / "train")]
    trained = [str(inner.relative_to(folder)) for inner in inside if inner.is_dir()]
    if trained:
        return _few(trained)
    images = sum(is_image(entry) for entry in visible(folder))
    parts = [f"{images} images" if images else "", _few([f"{entry.name}/" for entry in folders])]
    return ", ".join(filter(None, parts)) or "nothing"


def _few(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
