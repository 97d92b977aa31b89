"""Unlabelled images scored inside the workflow, with pictures of the highest scores."""

import csv
from pathlib import Path

from PIL import Image

from defectbench.deployment.detector import Detector, decoded_image
from defectbench.deployment.folder import SCORES, FolderScoring, Options
from defectbench.images.decoding import load_rgb
from defectbench.images.resizing import SQUASH
from defectbench.progress import warn
from defectbench.reports.pictures import ColourScale, draw_panels

PICTURES = "pictures"
MOST_PICTURES = 6
LARGEST = (1000, 200)
"""Width and height of a picture in pixels, at most: those of the page's gallery."""


def score_new_images(detector_file: Path, images: Path, output: Path, threads: int) -> None:
    """Score a folder at the detector's own threshold.

    Parameters
    ----------
    detector_file
        ``detector.onnx``.
    images
        The folder, with all its subfolders; it may be empty.
    output
        Folder of what `FolderScoring` writes, and of `PICTURES`: of the images with the highest
        scores, each under its path, as WebP; with map and overlay if the detector localizes.
    threads
        Of the network, and of decoding.

    Raises
    ------
    InputError
        If the detector does not prove itself. Unreadable images are named and left out.
    """
    detector = Detector(detector_file, threads)
    threshold = detector.metadata["threshold"]
    asked = threshold["value"], threshold["false_positive_rate"]
    scoring = FolderScoring(detector, Options(images, output, *asked, "none", False, threads))
    scoring.score(scoring.new_images())
    scoring.summary()
    for image in scoring.unreadable:
        warn(image.reason)
    for path in _highest(output / SCORES):
        picture = _picture(detector, images / path)
        file = output / PICTURES / f"{path}.webp"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, "WEBP", quality=70, method=4)


def _highest(scores: Path) -> list[str]:
    """Paths of the images with the highest scores."""
    with open(scores, encoding="utf-8", newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: -float(row["score"]))
    return [row["path"] for row in rows[:MOST_PICTURES]]


def _picture(detector: Detector, file: Path) -> Image.Image:
    """An image small enough for the page, its map and the marked part beside it if there is one."""
    metadata = detector.metadata
    picture = load_rgb(file, metadata["bits"])
    if metadata["map_scale"] is not None:
        decoded = decoded_image(file, metadata["preprocessing"], metadata["bits"])
        found = detector.score(decoded.pixels[None]).maps[0]
        scale = ColourScale(**metadata["map_scale"])
        aspect = metadata["preprocessing"].get("aspect", SQUASH)
        picture = draw_panels(picture, found, None, scale, aspect)
    picture.thumbnail(LARGEST, Image.Resampling.LANCZOS)
    return picture
