"""Which test images of a detector to show, and what each has to say.

One choice and one word for each verdict serve the page's gallery and ``reports/{dataset}_maps``.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.decoding import load_rgb
from defectbench.images.index import IndexRow
from defectbench.images.mask_pixels import read_mask
from defectbench.names import short
from defectbench.records import Scores, Specification
from defectbench.reports.map_panels import draw_panels
from defectbench.storage import open_h5

EACH = 6
"""At most so many missed images, and so many false alarms, of one category."""

SIDE = 200
"""Longer side of a picture in the page, in pixels; of a row of panels, its height."""

BUDGET = 2_400_000
"""Bytes of all pictures of a page, as base64 text."""


class Picture(NamedTuple):
    """A test image to show, and why."""

    row: int
    why: str


def verdicts(test: Scores, threshold: float | None) -> list[str]:
    """What the detector's answer on each image is worth: found, missed, false alarm or passed.

    Without a threshold nothing is called defective.
    """
    called = test.scores >= (np.inf if threshold is None else threshold)
    words = {(1, True): "found", (1, False): "missed", (0, True): "false alarm"}
    pairs = zip(test.labels.tolist(), called.tolist(), strict=True)
    return [words.get(pair, "passed") for pair in pairs]


def choose_pictures(test: Scores, threshold: float | None) -> list[Picture]:
    """The telling images: mistakes first, then the hardest and the median of each type.

    Parameters
    ----------
    test
        Scores of the test images.
    threshold
        Images from this score on are called defective.

    Returns
    -------
    list of Picture
        Each image once, under the first reason to show it.
    """
    labels, defects = test.labels, test.defects
    order = [int(row) for row in np.argsort(test.scores, kind="stable")]
    judged = verdicts(test, threshold)
    missed = [row for row in order if judged[row] == "missed"]
    alarms = [row for row in reversed(order) if judged[row] == "false alarm"]
    chosen = [(row, "one of the lowest scores") for row in missed[:EACH]]
    chosen += [(row, "one of the highest good scores") for row in alarms[:EACH]]
    for defect in sorted(set(defects[labels == 1])):
        members = [row for row in order if labels[row] and defects[row] == defect]
        chosen.append((members[0], "lowest score of its type"))
        chosen.append((members[len(members) // 2], "median of its type"))
    good = [row for row in reversed(order) if not labels[row]]
    if good:
        chosen.append((good[0], "highest score of a good part"))
        chosen.append((good[len(good) // 2], "median good part"))
    first: dict[int, str] = {}
    for row, why in chosen:
        first.setdefault(row, why)
    return [Picture(row, why) for row, why in first.items()]


def file_names(pictures: Sequence[Picture], test: Scores, judged: Sequence[str]) -> list[str]:
    """File names that sort as the pictures do: number, verdict, defect type, image."""
    digits = max(2, len(str(len(pictures))))
    return [
        short(
            f"{number:0{digits}}_{judged[row].replace(' ', '_')}_{test.defects[row]}_"
            f"{'-'.join(PurePosixPath(test.paths[row]).with_suffix('').parts)}"
        )
        + ".webp"
        for number, (row, _) in enumerate(pictures, 1)
    ]


def draw_image(
    folder: Path,
    row: IndexRow,
    specification: Specification,
    anomaly_map: np.ndarray | None,
    scale: MapScale | None,
) -> Image.Image:
    """A test image; with its map and the marked part beside it if there is a map.

    Parameters
    ----------
    folder, row
        The category's folder, and the image's row of its index.
    specification
        Of the detector: it says how the image became the canvas that the map is of.
    anomaly_map, scale
        None of a detector that does not localize.

    Raises
    ------
    InputError
        If the image or its mask cannot be read.
    """
    image = load_rgb(folder / row.file, specification["bits"])
    if anomaly_map is None:
        return image
    mask = read_mask(folder / row.mask, row.width, row.height) if row.mask else None
    return draw_panels(image, anomaly_map, mask, scale, specification["preprocessing"])


def gallery(
    cells: Sequence[CellResults],
    folders: Mapping[str, Path],
    indexes: Mapping[str, Mapping[str, IndexRow]],
) -> tuple[list[dict[str, Any]], int]:
    """Pictures of the chosen cells, as long as the budget lasts.

    Every category gets its first picture before any gets its second.

    Parameters
    ----------
    cells
        One per category.
    folders
        Of each category's images; a category without one has no pictures.
    indexes
        By category and path, the rows of its index.

    Returns
    -------
    pictures : list of dict
        ``category``, ``path``, ``label``, ``defect``, ``why``, ``score``, ``verdict``, ``source``
        (a data URI), ``width``, ``height``, ``panels`` (whether map and overlay are in it); in the
        order of the categories.
    left_out : int
        How many of those chosen are not among them.
    """
    picks = [choose_pictures(cell.test, cell.threshold) for cell in cells]
    shown: list[list[dict[str, Any]]] = [[] for _ in cells]
    spent = left_out = 0
    for turn in range(max(map(len, picks), default=0)):
        for place, cell in enumerate(cells):
            if turn >= len(picks[place]):
                continue
            pick, folder = picks[place][turn], folders.get(cell.category)
            row = indexes.get(cell.category, {}).get(cell.test.paths[pick.row])
            picture = _picture(cell, pick, folder, row) if folder and row else None
            if picture is None or spent + len(picture["source"]) > BUDGET:
                left_out += 1
                continue
            spent += len(picture["source"])
            shown[place].append(picture)
    return [picture for group in shown for picture in group], left_out


def _test_map(cell: CellResults, row: int) -> np.ndarray | None:
    """Anomaly map of a test image; None where there is none, or no scale to colour it by."""
    if cell.maps is None or cell.pixels.get("pixel_threshold") is None:
        return None
    with open_h5(cell.maps) as maps:
        return maps["test"][row] if "test" in maps else None


def _picture(
    cell: CellResults,
    pick: Picture,
    folder: Path,
    row: IndexRow,
) -> dict[str, Any] | None:
    """One picture with its caption; None where its file is not there or cannot be read."""
    test = cell.test
    specification, scale = cell.metrics["specification"], None
    anomaly_map = _test_map(cell, pick.row)
    if anomaly_map is not None:
        scale = MapScale(cell.pixels["typical_level"], cell.pixels["pixel_threshold"])
    try:
        image = draw_image(folder, row, specification, anomaly_map, scale)
    except InputError:
        return None
    return {
        "category": cell.category,
        "path": row.path,
        "label": int(test.labels[pick.row]),
        "defect": str(test.defects[pick.row]),
        "why": pick.why,
        "score": float(test.scores[pick.row]),
        "verdict": verdicts(test, cell.threshold)[pick.row],
        **_in_page(image, max(image.size) if anomaly_map is None else image.height),
        "panels": anomaly_map is not None,
    }


def _in_page(image: Image.Image, side: int) -> dict[str, str | int]:
    """``source``, a data URI, ``width`` and ``height``; `side` of its pixels become `SIDE`."""
    ratio = min(1.0, SIDE / side)
    size = tuple(max(1, round(length * ratio)) for length in image.size)
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, "WEBP", quality=70, method=4)
    return {"source": data_uri(stream.getvalue()), "width": size[0], "height": size[1]}


def setting_pictures(
    cell: CellResults,
    folders: Mapping[str, Path],
    indexes: Mapping[str, Mapping[str, IndexRow]],
) -> list[dict[str, Any]]:
    """Pictures of the good images that set a cell's threshold alone, as far as they are here.

    Parameters are those of `gallery`.

    Returns
    -------
    list of dict
        ``path``, ``score``, ``source`` (a data URI), ``width``, ``height``.
    """
    found, folder = cell.metrics["set_by"], folders.get(cell.category)
    rows, shown = indexes.get(cell.category, {}), []
    for path, score in zip(found["paths"], found["scores"], strict=True):
        if folder is None or path not in rows:
            continue
        try:
            image = load_rgb(folder / rows[path].file, cell.metrics["specification"]["bits"])
        except InputError:
            continue
        shown.append({"path": path, "score": score, **_in_page(image, max(image.size))})
    return shown


def data_uri(webp: bytes) -> str:
    """A picture as text that a page carries in itself."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode()
