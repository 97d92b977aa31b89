"""The pictures that a page carries: what is found, what is missed, who sets thresholds."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.decoding import load_rgb
from defectbench.images.index import IndexRow
from defectbench.reports.pictures import Picture, choose_pictures, draw_image, verdicts
from defectbench.storage import open_h5

SIDE = 200
"""Longer side of a picture in the page, in pixels; of a row of panels, its height."""

BUDGET = 2_400_000
"""Bytes of all pictures of a page, as base64 text with their captions."""

CAPTION = 900
"""Bytes of a page that a picture takes beside its own, at most."""

MISTAKES = ("missed", "false alarm")


@dataclass
class Gallery:
    """Draws pictures for a page, as long as its budget lasts.

    Attributes
    ----------
    folders
        Of each category's images; a category without one has no pictures.
    indexes
        By category and path, the rows of its index.
    lenders
        By category, the cell whose maps are shown with the pictures of the recommended detector
        where that has none.
    left
        Bytes that are left of the budget.
    """

    folders: Mapping[str, Path]
    indexes: Mapping[str, Mapping[str, IndexRow]]
    lenders: Mapping[str, CellResults]
    left: int

    def picture(
        self, cell: CellResults, pick: Picture, mapped: CellResults
    ) -> dict[str, Any] | None:
        """One picture and its caption; the map is that of `mapped`, if it has any.

        Returns
        -------
        dict or None
            ``category``, ``detector``, ``path``, ``label``, ``defect``, ``why``, ``score``,
            ``share`` of the held-out good parts that score lower, ``verdict``, ``source`` (a data
            URI), ``width``, ``height``, ``panels`` (whether map and overlay are in it),
            ``maps_of`` (the detector that lends its map, empty for its own); None where the file is
            not there, cannot be read, or is too much for what is left of the budget.
        """
        folder, test = self.folders.get(cell.category), cell.test
        row = self.indexes.get(cell.category, {}).get(test.paths[pick.row])
        if folder is None or row is None:
            return None
        anomaly_map, scale = _test_map(mapped, pick.row), None
        if anomaly_map is not None:
            scale = MapScale(mapped.pixels["typical_level"], mapped.pixels["pixel_threshold"])
        specification = mapped.metrics["specification"]
        try:
            image = draw_image(folder, row, specification, anomaly_map, scale)
        except InputError:
            return None
        score, panels = float(test.scores[pick.row]), anomaly_map is not None
        drawn = _in_page(image, image.height if panels else max(image.size))
        if len(drawn["source"]) + CAPTION > self.left:
            return None
        self.left -= len(drawn["source"]) + CAPTION
        return {
            "category": cell.category,
            "detector": cell.detector,
            "path": row.path,
            "label": int(test.labels[pick.row]),
            "defect": str(test.defects[pick.row]),
            "why": pick.why,
            "score": score,
            "share": cell.share_of_good_below(score),
            "verdict": verdicts(test, cell.threshold)[pick.row],
            **drawn,
            "panels": panels,
            "maps_of": mapped.detector if panels and mapped is not cell else "",
        }

    def _chosen(self, cell: CellResults, pick: Picture) -> dict[str, Any] | None:
        return self.picture(cell, pick, self.lenders.get(cell.category, cell))

    def examples(self, cells: Sequence[CellResults]) -> dict[str, list[dict[str, Any]]]:
        """Of each category a defective part that is found and one that is missed.

        The former is the median of those found, the latter has the lowest score of all; where none
        is missed, it is the one found that comes nearest to it.
        """
        return {
            cell.category: [
                picture
                for pick in _typical(cell)
                if (picture := self._chosen(cell, pick)) is not None
            ]
            for cell in cells
        }

    def of_chosen(self, cells: Sequence[CellResults]) -> tuple[list[dict[str, Any]], int]:
        """The telling pictures of cells, one per category; and how many have no room.

        Every category gets its first picture before any gets its second; they are in the order of
        the cells.
        """
        shown: list[list[dict[str, Any]]] = [[] for _ in cells]
        picks = [choose_pictures(cell.test, cell.threshold) for cell in cells]
        left_out = 0
        for place, pick in _in_turns(picks):
            picture = self._chosen(cells[place], pick)
            if picture is None:
                left_out += 1
            else:
                shown[place].append(picture)
        return [picture for group in shown for picture in group], left_out

    def mistakes(self, cells: Sequence[CellResults]) -> list[dict[str, Any]]:
        """What other detectors miss and wrongly reject, until the budget is spent."""
        picks = []
        for cell in cells:
            judged = verdicts(cell.test, cell.threshold)
            chosen = choose_pictures(cell.test, cell.threshold)
            picks.append([pick for pick in chosen if judged[pick.row] in MISTAKES])
        found = []
        for place, pick in _in_turns(picks):
            if self.folders.get(cells[place].category) is None:
                continue
            picture = self.picture(cells[place], pick, cells[place])
            if picture is None:  # none of the others would have room either
                break
            found.append(picture)
        return found


def _in_turns(picks: Sequence[Sequence[Picture]]) -> Iterator[tuple[int, Picture]]:
    """The first of each row, then the second of each, with the row's number."""
    for turn in range(max(map(len, picks), default=0)):
        for place, row in enumerate(picks):
            if turn < len(row):
                yield place, row[turn]


def _typical(cell: CellResults) -> list[Picture]:
    """A defective part that is found and one that is, or comes nearest to being, missed."""
    judged = verdicts(cell.test, cell.threshold)
    order = [int(row) for row in np.argsort(cell.test.scores, kind="stable")]
    found = [row for row in order if judged[row] == "found"]
    missed = [row for row in order if judged[row] == "missed"]
    picks = [Picture(found[len(found) // 2], "median of those found")] if found else []
    if missed:
        return [*picks, Picture(missed[0], "lowest score of all missed")]
    return picks + [Picture(row, "nearest to being missed") for row in found[:1] if len(found) > 2]


def has_maps(cell: CellResults) -> bool:
    """Whether a cell has anomaly maps, and a scale to colour them by."""
    return cell.maps is not None and cell.pixels.get("pixel_threshold") is not None


def map_lender(
    cell: CellResults, equals: Sequence[str], cells: Sequence[CellResults]
) -> CellResults | None:
    """Who shows where the defects are for a detector that does not: the first equal with maps.

    Parameters
    ----------
    cell
        The detector.
    equals
        Names of the detectors to which it has no clear difference, best first.
    cells
        Every detector on that category, among others.

    Returns
    -------
    CellResults or None
        None where it has maps itself, or no equal has any.
    """
    if has_maps(cell):
        return None
    own = {each.detector: each for each in cells if each.category == cell.category}
    return next((own[name] for name in equals if name in own and has_maps(own[name])), None)


def setting_pictures(
    cell: CellResults,
    folders: Mapping[str, Path],
    indexes: Mapping[str, Mapping[str, IndexRow]],
) -> list[dict[str, Any]]:
    """Pictures of the good images that set a cell's threshold alone, as far as they are here.

    Folders and indexes are those of `Gallery`.

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


def _test_map(cell: CellResults, row: int) -> np.ndarray | None:
    """Anomaly map of a test image; None where there is none."""
    if not has_maps(cell):
        return None
    with open_h5(cell.maps) as maps:
        return maps["test"][row] if "test" in maps else None


def _in_page(image: Image.Image, side: int) -> dict[str, Any]:
    """``source``, a data URI, ``width`` and ``height``; `side` of its pixels become `SIDE`."""
    ratio = min(1.0, SIDE / side)
    size = tuple(max(1, round(length * ratio)) for length in image.size)
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, "WEBP", quality=70, method=4)
    return {"source": data_uri(stream.getvalue()), "width": size[0], "height": size[1]}
