"""Ground-truth masks of the defective images: found, paired, checked and read."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.decoding import UNREADABLE
from defectbench.images.index import IndexRow
from defectbench.images.layout import counted, is_image, visible


def add_masks(
    folder: Path, rows: Sequence[IndexRow], pool: ThreadPoolExecutor
) -> tuple[list[IndexRow], list[str]]:
    """Rows with those of their masks that can be used, and notes of the masks that cannot.

    Noted are defective images without a mask, of defects that have masks; masks of no image; and
    masks that cannot be read, mark nothing or have another size.
    """
    masks = {
        (defect.name, file.stem.removesuffix("_mask")): file.relative_to(folder).as_posix()
        for defect in visible(folder / "ground_truth")
        if defect.name != "good"
        for file in visible(defect)
        if is_image(file)
    }
    with_masks = {defect for defect, _ in masks}
    missing, found = [], []
    for row in rows:
        mask = masks.pop((row.defect, Path(row.path).stem), "") if row.label else ""
        if not mask and row.defect in with_masks:
            missing.append(row.path)
        found.append(replace(row, mask=mask))
    marked, faults = zip(*pool.map(lambda row: _marked(folder, row), found), strict=True)
    usable = [
        replace(row, mask="") if fault else replace(row, defect_pixels=pixels)
        for row, pixels, fault in zip(found, marked, faults, strict=True)
    ]
    return usable, [
        *counted(missing, "defective images have no mask"),
        *counted(list(masks.values()), "masks belong to no image"),
        *counted(list(filter(None, faults)), "masks are unusable and left out"),
    ]


def read_mask(file: Path, width: int, height: int, side: int | None = None) -> np.ndarray:
    """Which pixels are defective: those that are not black.

    Parameters
    ----------
    file
        Image of a mask; an alpha channel is not looked at.
    width, height
        Size of the image that the mask belongs to.
    side
        Resize the mask to a square of this side (Lanczos, then more than half covered), as
        published for FRE; by default it stays as it is.

    Returns
    -------
    ndarray
        bool, (height, width) or (side, side).

    Raises
    ------
    InputError
        If the file cannot be read or has another size than its image.
    """
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)
            has_alpha = image.mode in ("P", "PA", "LA", "RGBA")
    except UNREADABLE as error:
        raise InputError(f"{file}: cannot be read as a mask ({error})") from error
    if pixels.ndim == 3:
        pixels = (pixels[..., :-1] if has_alpha else pixels).any(axis=-1)
    if pixels.shape != (height, width):
        found = f"{pixels.shape[1]}×{pixels.shape[0]}"
        raise InputError(f"{file}: {found}, its image is {width}×{height}; mend or remove the mask")
    marked = pixels != 0
    if side is None:
        return marked
    grey = Image.fromarray(np.where(marked, 255, 0).astype(np.uint8))
    return np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS)) > 127


def _marked(folder: Path, row: IndexRow) -> tuple[int, str]:
    """Pixels that an image's mask marks, and what is wrong with it; 0 and nothing without one."""
    if not row.mask:
        return 0, ""
    try:
        marked = int(read_mask(folder / row.mask, row.width, row.height).sum())
    except InputError as error:
        return 0, str(error).removeprefix(f"{folder}/")
    return marked, "" if marked else f"{row.mask}: the mask marks nothing"
