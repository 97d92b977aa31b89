"""Ground-truth masks of the defective images: found, paired, checked and read."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.decoding import UNREADABLE
from defectbench.images.index import IndexRow
from defectbench.images.layout import counted, is_image, visible


class MaskFaults(NamedTuple):
    """What is wrong with a category's masks.

    Attributes
    ----------
    missing
        Defective images without a mask, of defects that have masks.
    orphans
        Masks of no image.
    unusable
        Masks that cannot be read, mark nothing or have another size, each with the reason.
    """

    missing: list[str]
    orphans: list[str]
    unusable: dict[str, str]

    def problems(self, folder: Path) -> list[str]:
        """Every fault in a line, with its file: for who cannot do without the masks."""
        advice = "has no mask; to do without masks, remove ground_truth"
        return [
            *(f"{folder / image}: {advice}/{Path(image).parent.name}" for image in self.missing),
            *(f"{folder / mask}: mask of no image" for mask in self.orphans),
            *(f"{folder / mask}: {reason}" for mask, reason in self.unusable.items()),
        ]

    def notes(self) -> list[str]:
        """Each kind of fault in a line: for who can."""
        unusable = [f"{mask}: {reason}" for mask, reason in self.unusable.items()]
        return [
            *counted(self.missing, "defective images have no mask"),
            *counted(self.orphans, "masks belong to no image"),
            *counted(unusable, "masks are unusable and left out"),
        ]


def add_masks(
    folder: Path, rows: Sequence[IndexRow], pool: ThreadPoolExecutor
) -> tuple[list[IndexRow], MaskFaults]:
    """Rows with those of their masks that can be used, and what is wrong with the others."""
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
    masked = [row for row in found if row.mask]
    reasons = pool.map(lambda row: _mask_fault(folder / row.mask, row), masked)
    unusable = {row.mask: reason for row, reason in zip(masked, reasons, strict=True) if reason}
    usable = [replace(row, mask="") if row.mask in unusable else row for row in found]
    return usable, MaskFaults(missing, list(masks.values()), unusable)


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


def _mask_fault(file: Path, row: IndexRow) -> str:
    """What is wrong with a mask, empty for nothing."""
    try:
        marked = read_mask(file, row.width, row.height).any()
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    return "" if marked else "the mask marks nothing"
