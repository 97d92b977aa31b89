"""Pictures of where a detector sees a defect: image, anomaly map, and one laid over the other."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from defectbench.errors import InputError
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.map_geometry import over_whole_image
from defectbench.images.decoding import load_rgb
from defectbench.images.index import IndexRow
from defectbench.images.masks import read_mask
from defectbench.images.resizing import SQUASH
from defectbench.scorers.grids import bilinear
from defectbench.storage import read_arrays

PANEL = 320
"""Longer side of one of the three panels, in pixels."""

GAP = 4

FALSE_ALARMS = 8
"""At most so many are drawn, the highest scores first."""

# dark violet over red to pale yellow: lightness rises, so that it reads without colour vision
COLOURS = np.array(
    [(10, 7, 40), (64, 18, 100), (125, 30, 105), (186, 52, 80), (232, 98, 42), (250, 166, 30),
     (252, 246, 170)],
    np.float32,
)  # fmt: skip
OUTLINE = (0, 225, 255)


@dataclass(frozen=True)
class ColourScale:
    """One scale for all images of a detector, so that a good part is never stretched into a glow.

    Attributes
    ----------
    typical
        Score of an ordinary pixel of a defect-free image: the darkest colour.
    threshold
        The detector's pixel threshold: the middle of the scale. As far above it lies the top.
    """

    typical: float
    threshold: float

    def levels(self, anomaly_map: np.ndarray) -> np.ndarray:
        """Position on the scale, float32: 0 typical, 0.5 the threshold, 1 the top and all above."""
        span = max(2 * (self.threshold - self.typical), np.finfo(np.float32).tiny)
        return (
            ((anomaly_map.astype(np.float64) - self.typical) / span).clip(0, 1).astype(np.float32)
        )


class Picture(NamedTuple):
    """An image to draw, and why."""

    kind: str
    row: int


def verdict(label: int, score: float, threshold: float) -> str:
    """What the detector's answer on an image is worth."""
    if label:
        return "found" if score >= threshold else "escape"
    return "false alarm" if score >= threshold else "passed"


def select_pictures(
    labels: np.ndarray, defects: np.ndarray, scores: np.ndarray, threshold: float
) -> list[Picture]:
    """The telling images: false alarms, then the worst and the median of good and of each defect.

    Parameters
    ----------
    labels, defects, scores
        Of the test images, (n_images,).
    threshold
        The honest threshold of the image score.

    Returns
    -------
    list of Picture
        Each image once. The worst good image is the one of the highest score that is no false
        alarm, the worst of a defect type the one of the lowest score.
    """
    order = np.argsort(scores, kind="stable")
    alarms = [int(row) for row in order[::-1] if not labels[row] and scores[row] >= threshold]
    pictures = [Picture("false_alarm", row) for row in alarms[:FALSE_ALARMS]]
    passed = [int(row) for row in order[::-1] if not labels[row] and scores[row] < threshold]
    groups = [passed] + [
        [int(row) for row in order if labels[row] and defects[row] == defect]
        for defect in sorted(set(defects[labels == 1]))
    ]
    for group in filter(None, groups):
        median = group[len(group) // 2]
        pictures.append(Picture("worst", group[0]))
        if median != group[0]:
            pictures.append(Picture("median", median))
    return pictures


def every_picture(labels: np.ndarray, scores: np.ndarray, threshold: float) -> list[Picture]:
    """All test images in their order, each under its verdict."""
    return [
        Picture(verdict(label, score, threshold).replace(" ", "_"), row)
        for row, (label, score) in enumerate(zip(labels, scores, strict=True))
    ]


def picture_names(pictures: Sequence[Picture], paths: Sequence[str], defects: np.ndarray) -> list:
    """File names that sort as the pictures do: number, kind, defect type, image."""
    digits = max(2, len(str(len(pictures))))
    return [
        f"{number:0{digits}}_{kind}_{defects[row]}_"
        f"{'-'.join(PurePosixPath(paths[row]).with_suffix('').parts)}.webp"
        for number, (kind, row) in enumerate(pictures, 1)
    ]


def draw_panels(
    image: Image.Image,
    anomaly_map: np.ndarray,
    mask: np.ndarray | None,
    scale: ColourScale,
    aspect: str = SQUASH,
) -> Image.Image:
    """Image, map, and the map's marked part over the image with the mask's outline, side by side.

    Parameters
    ----------
    image
        RGB, any size.
    anomaly_map
        float, (rows, columns), of any resolution.
    mask
        bool, (height, width) of the image; None for no outline.
    scale
        Of the detector. What is below its threshold leaves the image as it is.
    aspect
        How the square that the map is of was made of the image.
    """
    ratio = PANEL / max(image.size)
    width, height = (max(1, round(length * ratio)) for length in image.size)
    photo = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    whole = over_whole_image(anomaly_map, height, width, aspect, unseen=scale.typical)
    levels = scale.levels(bilinear(whole, (height, width)))
    colours = colour(levels)
    opacity = np.where(levels >= 0.5, 0.45 + 0.7 * (levels - 0.5), 0)[..., None]
    overlay = photo * (1 - opacity) + colours * opacity
    if mask is not None:
        overlay[outline(mask, width, height)] = OUTLINE
    gap = np.full((height, GAP, 3), 255, np.float32)
    panels = np.concatenate([photo, gap, colours, gap, overlay], axis=1)
    return Image.fromarray(np.rint(panels).astype(np.uint8))


def colour(levels: np.ndarray) -> np.ndarray:
    """Colour of each position on the scale, float32, (..., 3), 0 to 255."""
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(levels, stops, channel) for channel in COLOURS.T]
    return np.stack(channels, axis=-1).astype(np.float32)


def outline(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Two pixels around the regions of a mask at another size, however small a region is."""
    grey = Image.fromarray(np.where(mask, 255, 0).astype(np.float32))
    covered = np.asarray(grey.resize((width, height), Image.Resampling.BOX)) > 0
    return ndimage.binary_dilation(covered, iterations=2) & ~covered


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
    test = cell.test
    order = np.argsort(test.scores, kind="stable")
    at = np.inf if threshold is None else threshold
    misses = [k for k in order if test.labels[k] and test.scores[k] < at and threshold is not None]
    alarms = [k for k in order[::-1] if not test.labels[k] and test.scores[k] >= at]
    picks = [Pick(int(k), "one of the lowest scores") for k in misses[:EACH]]
    picks += [Pick(int(k), "one of the highest good scores") for k in alarms[:EACH]]
    for defect in sorted(set(test.defects[test.labels == 1])):
        members = [k for k in order if test.labels[k] and test.defects[k] == defect]
        picks += [Pick(int(members[0]), "lowest score of its type")]
        picks += [Pick(int(members[len(members) // 2]), "median of its type")]
    good = [k for k in order[::-1] if not test.labels[k]]
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
            row = masks.get(cell.category, {}).get(cell.test.paths[pick.row])
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
    path = cell.test.paths[pick.row]
    if not (folder / path).is_file():
        return None
    made = cell.metrics["specification"]
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
        "label": int(cell.test.labels[pick.row]),
        "defect": str(cell.test.defects[pick.row]),
        "why": pick.why,
        "score": float(cell.test.scores[pick.row]),
        "source": _data_uri(image.resize(size, Image.Resampling.LANCZOS)),
        "width": size[0],
        "height": size[1],
        "panels": maps is not None,
    }


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=70, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
