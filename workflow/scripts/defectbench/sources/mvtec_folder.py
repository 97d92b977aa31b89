"""A local folder with a folder per category in the MVTec layout."""

from pathlib import Path
from typing import Any

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.layout import image_files, is_image, visible
from defectbench.sources.base import ImageSource, existing_folder, few, local_origin

LAYOUT = ("train", "test", "ground_truth")


class MvtecFolder(ImageSource):
    """Categories are the subfolders of `path` that hold ``train/good``."""

    required = frozenset({"path"})

    def found(self) -> list[str]:
        folders = existing_folder(self.entry).iterdir()
        return sorted(folder.name for folder in folders if (folder / "train" / "good").is_dir())

    @property
    def nothing_found(self) -> str:
        folder = Path(self.entry["path"])
        searched = f"searched {folder} for folders that hold train/good; found"
        if (folder / "train" / "good").is_dir():
            return f"{searched} that is a category itself: set `path` to {folder.parent}"
        return (
            f"{searched} {_found_instead(folder)}; expected {folder}/CATEGORY/train/good with the "
            "defect-free images, and test/good and test/DEFECT beside train; or name your own "
            "folders as `good` and `defective` of the dataset"
        )

    def origin(self, category: str, contents: Contents) -> dict[str, str]:
        return local_origin(self._folder(category), contents)

    def lay_out(self, category: str, folder: Path, origin: Any) -> None:
        link_layout(self._folder(category), folder)

    def images(self, category: str) -> list[tuple[str, str]]:
        folder = self._folder(category)
        paths = [file.relative_to(folder) for file in image_files(folder)]
        return [(path.parts[0], path.as_posix()) for path in paths]

    def _folder(self, category: str) -> Path:
        return Path(self.entry["path"], category)


def link_layout(category_folder: Path, folder: Path) -> None:
    """Link a category that is in the MVTec layout already.

    Raises
    ------
    InputError
        If it has no defect-free training images.
    """
    if not (category_folder / "train" / "good").is_dir():
        raise InputError(f"{category_folder}: no folder train/good with defect-free images there")
    for name in LAYOUT:
        if (category_folder / name).is_dir():
            (folder / name).symlink_to((category_folder / name).resolve())


def _found_instead(folder: Path) -> str:
    """The nearest that a folder holds to a category: other training folders, folders, images."""
    folders = [entry for entry in visible(folder) if entry.is_dir()]
    inside = [inner for entry in (folder, *folders) for inner in visible(entry / "train")]
    trained = [str(inner.relative_to(folder)) for inner in inside if inner.is_dir()]
    if trained:
        return few(trained)
    images = sum(is_image(entry) for entry in visible(folder))
    parts = [f"{images} images" if images else "", few([f"{entry.name}/" for entry in folders])]
    return ", ".join(filter(None, parts)) or "nothing"
