"""Ground-truth masks of the defective images: found, paired and checked."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.images.index import IndexRow
from defectbench.images.layout import is_image, visible


def add_masks(
    folder: Path, rows: Sequence[IndexRow], pool: ThreadPoolExecutor
) -> tuple[list[IndexRow], list[str]]:
    """Rows with their masks, and what is wrong with those: all of a defect's images or none."""
    masks = {
        (defect.name, file.stem.removesuffix("_mask")): file
        for defect in visible(folder / "ground_truth")
        if defect.name != "good"
        for file in visible(defect)
        if is_image(file)
    }
    with_masks = {defect for defect, _ in masks}
    found, problems = [], []
    for row in rows:
        mask = masks.pop((row.defect, Path(row.path).stem), None) if row.label else None
        if mask is None and row.defect in with_masks:
            problems.append(
                f"{folder / row.path}: has no mask; to do without masks, remove "
                f"ground_truth/{row.defect}"
            )
        found.append(replace(row, mask=mask.relative_to(folder).as_posix() if mask else ""))
    problems += [f"{mask}: mask of no image" for mask in masks.values()]
    checked = [row for row in found if row.mask]
    problems += filter(None, pool.map(lambda row: _mask_problem(folder / row.mask, row), checked))
    return found, problems


def _mask_problem(file: Path, row: IndexRow) -> str:
    """What is wrong with a mask, empty for nothing."""
    try:
        with Image.open(file) as mask:
            size, marked = mask.size, bool(np.asarray(mask).any())
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{file}: cannot be read as a mask ({error})"
    if size != (row.width, row.height):
        return f"{file}: {size[0]}×{size[1]}, its image is {row.width}×{row.height}"
    return "" if marked else f"{file}: the mask marks nothing"
