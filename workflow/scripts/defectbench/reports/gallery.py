"""Which pictures the page shows, and the pictures themselves, small enough to be carried in it."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.aspect import SQUASH
from defectbench.images.decoding import load_rgb
from defectbench.images.index import IndexRow
from defectbench.images.masks import read_mask
from defectbench.reports.cells import CellResults
from defectbench.reports.overlays import ColourScale, draw_panels
from defectbench.storage import read_arrays

EACH = 6
"""At most so many misses, and so many false alarms, of one category."""

SIDE = 200
"""Longer side of a picture in pixels; of a row of panels, its height."""

BUDGET = 2_400_000
"""Bytes of all pictures of a page, as base64 text."""


class Pick(NamedTuple):
    """A test image to show, and why."""

    row: int
    why: str


def pick_images(cell: CellResults, threshold: float | None) -> list[Pick]:
    """Misses and false alarms, then the hardest and the median of each type, each image once.

    Parameters
    ----------
    cell
        The detector and category.
    threshold
        At and above which an image is called defective; without one there are no mistakes.
    """
    order = np.argsort(cell.scores, kind="stable")
    at = np.inf if threshold is None else threshold
    misses = [k for k in order if cell.labels[k] and cell.scores[k] < at and threshold is not None]
    alarms = [k for k in order[::-1] if not cell.labels[k] and cell.scores[k] >= at]
    picks = [Pick(int(k), "one of the lowest scores") for k in misses[:EACH]]
    picks += [Pick(int(k), "one of the highest good scores") for k in alarms[:EACH]]
    for defect in sorted(set(cell.defects[cell.labels == 1])):
        members = [k for k in order if cell.labels[k] and cell.defects[k] == defect]
        picks += [Pick(int(members[0]), "lowest score of its type")]
        picks += [Pick(int(members[len(members) // 2]), "median of its type")]
    good = [k for k in order[::-1] if not cell.labels[k]]
    if good:
        picks += [Pick(int(good[0]), "highest score of a good part")]
        picks += [Pick(int(good[len(good) // 2]), "median good part")]
    first = {pick.row: pick for pick in reversed(picks)}
    return [pick for pick in picks if first[pick.row] is pick]


def gallery(
    chosen: Sequence[tuple[CellResults, float | None]],
    folders: Mapping[str, Path],
    masks: Mapping[str, Mapping[str, IndexRow]],
) -> tuple[list[dict[str, Any]], int]:
    """Pictures of the chosen cells, as long as the budget lasts.

    Every category gets its first picture before any gets its second.

    Parameters
    ----------
    chosen
        One cell per category, and its threshold.
    folders
        Of each category's images; a category without one has no pictures.
    masks
        By category and path, the rows of its index that name a mask.

    Returns
    -------
    pictures : list of dict
        ``category``, ``path``, ``label``, ``defect``, ``why``, ``score``, ``source`` (a data
        URI), ``width``, ``height``, ``panels`` (whether map and overlay are in it); in the order
        of the categories.
    left_out : int
        How many of those picked are not among them.
    """
    maps = [_test_maps(cell) for cell, _ in chosen]
    picks = [pick_images(cell, threshold) for cell, threshold in chosen]
    shown: list[list[dict[str, Any]]] = [[] for _ in chosen]
    spent = left_out = 0
    for turn in range(max(map(len, picks), default=0)):
        for place, (cell, _) in enumerate(chosen):
            if turn >= len(picks[place]):
                continue
            pick, folder = picks[place][turn], folders.get(cell.category)
            row = masks.get(cell.category, {}).get(cell.paths[pick.row])
            picture = _picture(cell, pick, maps[place], folder, row) if folder else None
            if picture is None or spent + len(picture["source"]) > BUDGET:
                left_out += 1
                continue
            spent += len(picture["source"])
            shown[place].append(picture)
    return [picture for group in shown for picture in group], left_out


def _test_maps(cell: CellResults) -> np.ndarray | None:
    """Anomaly maps of the test images; None where there is none, or no scale to colour it by."""
    if cell.maps is None or cell.pixels.get("pixel_threshold") is None:
        return None
    return read_arrays(cell.maps)[0].get("test")


def _picture(
    cell: CellResults,
    pick: Pick,
    maps: np.ndarray | None,
    folder: Path,
    masked: IndexRow | None,
) -> dict[str, Any] | None:
    """One picture with its caption; None where its file is not there or cannot be read."""
    path = cell.paths[pick.row]
    if not (folder / path).is_file():
        return None
    made = cell.metrics["provenance"]
    try:
        image = load_rgb(folder / path, made.get("bits"))
    except InputError:
        return None
    if maps is not None:
        mask = masked and read_mask(folder / masked.mask, masked.width, masked.height)
        scale = ColourScale(cell.pixels["typical_level"], cell.pixels["pixel_threshold"])
        aspect = made.get("preprocessing", {}).get("aspect", SQUASH)
        image = draw_panels(image, maps[pick.row], mask, scale, aspect)
    ratio = min(1.0, SIDE / (max(image.size) if maps is None else image.height))
    size = tuple(max(1, round(length * ratio)) for length in image.size)
    return {
        "category": cell.category,
        "path": path,
        "label": int(cell.labels[pick.row]),
        "defect": str(cell.defects[pick.row]),
        "why": pick.why,
        "score": float(cell.scores[pick.row]),
        "source": _data_uri(image.resize(size, Image.Resampling.LANCZOS)),
        "width": size[0],
        "height": size[1],
        "panels": maps is not None,
    }


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=70, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
