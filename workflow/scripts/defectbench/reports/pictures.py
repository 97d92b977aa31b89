"""Which test images of a detector to show, and what each has to say.

One choice and one word for each verdict serve the page's gallery and ``reports/{dataset}_maps``.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.decoding import load_rgb
from defectbench.images.index import IndexRow
from defectbench.images.mask_pixels import read_mask
from defectbench.names import short
from defectbench.records import Scores, Specification
from defectbench.reports.map_panels import draw_panels

EACH = 6
"""At most so many missed images, and so many false alarms, of one category."""


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
