"""Every image of a category found and checked."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from defectbench.errors import InputError
from defectbench.images.index import IndexRow
from defectbench.images.layout import image_files, is_image, visible
from defectbench.images.masks import add_masks
from defectbench.provenance import file_sha256

UNBOUNDED_MODES = frozenset({"I", "F"})


def index_category(folder: Path) -> list[IndexRow]:
    """Find and check every image and mask of a category in the MVTec layout.

    Returns
    -------
    list of IndexRow
        Sorted by path.

    Raises
    ------
    InputError
        Listing everything that cannot be used, each with its file.
    """
    files = [*image_files(folder, "train"), *image_files(folder, "test")]
    problems = _layout_problems(folder, files)
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda file: _index_file(folder, file), files))
        rows = [result for result in results if isinstance(result, IndexRow)]
        problems += [result for result in results if isinstance(result, str)]
        if not problems:  # of an image that cannot be read, the size is not known either
            rows, mask_problems = add_masks(folder, rows, pool)
            problems += mask_problems
    if problems:
        lines = "\n".join(f"  {_printable(line)}" for line in problems)
        raise InputError(f"{folder}: mend or remove\n{lines}")
    return sorted(rows, key=lambda row: row.path)


def training_images(folder: Path) -> list[Path]:
    """Files of a category's training images, not checked."""
    return image_files(folder, "train")


def _layout_problems(folder: Path, files: Sequence[Path]) -> list[str]:
    """Images where the layout has no place for them, or names that mislead."""
    problems = [
        f"{folder / wanted}: no images"
        for wanted in ("train/good", "test")
        if not any(file.is_relative_to(folder / wanted) for file in files)
    ]
    for split in ("train", "test"):
        for entry in visible(folder / split):
            if entry.is_file() and is_image(entry):
                problems.append(f"{entry}: belongs in a folder, {split}/good or a defect type")
            elif entry.name != "good" and entry.name.casefold() == "good":
                problems.append(f"{entry}: only `good` in lower case means defect-free")
            elif split == "train" and entry.is_dir() and entry.name != "good":
                problems.append(f"{entry}: detectors are trained on train/good alone")
            problems += [
                f"{inner}: images in subfolders are not found"
                for inner in visible(entry)
                if inner.is_dir()
            ]
    seen: dict[str, Path] = {}
    for file in files:
        twin = seen.setdefault(str(file).casefold(), file)
        if twin != file:
            problems.append(f"{file}: differs from {twin.name} in case alone; rename one")
    return problems


def _index_file(folder: Path, file: Path) -> IndexRow | str:
    """Row of one image, or what is wrong with it."""
    try:
        file.name.encode()
        with Image.open(file) as image:
            width, height, mode = *image.size, image.mode
            # a PNG's checksums show damage at a fraction of the time that decoding takes
            image.verify() if image.format == "PNG" else image.load()
        digest = file_sha256(file)
    except UnicodeEncodeError:
        return f"{file}: the name is not UTF-8"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{file}: cannot be read as an image ({error})"
    if mode in UNBOUNDED_MODES:
        return f"{file}: 32 bits per pixel have no known range; store 8 or 16 bits"
    split, defect = file.relative_to(folder).parts[:2]
    return IndexRow(
        path=file.relative_to(folder).as_posix(),
        split=split,
        label=int(defect != "good"),
        defect=defect,
        mask="",
        width=width,
        height=height,
        mode=mode,
        sha256=digest,
    )


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
