"""Unlabelled images scored inside the workflow, with pictures of the highest scores."""

from pathlib import Path

from PIL import Image

from defectbench.deployment.detector import Detector
from defectbench.deployment.folder import FolderScoring, Options
from defectbench.deployment.overlays import picture
from defectbench.images.network_image import whole_image
from defectbench.progress import warn
from defectbench.reports.map_panels import PANEL
from defectbench.reports.verdicts import highest_scores, picture_file

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
        Folder of what `FolderScoring` writes, and of pictures of the images with the highest
        scores, as WebP; with map and overlay if the detector localizes.
    threads
        Of the network, and of decoding.

    Raises
    ------
    InputError
        If the detector does not prove itself. Unreadable images are named and left out.
    """
    detector = Detector(detector_file, threads, gives_way=True)
    scoring = FolderScoring(detector, Options(images, output, threads))
    files = {scoring.name(file): file for file in scoring.images()}
    scoring.score(scoring.images())
    scoring.summary()
    for reason in scoring.found.unreadable.values():
        warn(reason)
    for row in highest_scores(output)[:MOST_PICTURES]:
        image = whole_image(files[row["path"]], detector.metadata)
        maps = detector.score_image(image).maps
        drawn = picture(detector, image, None if maps is None else maps[0], PANEL)
        drawn.thumbnail(LARGEST, Image.Resampling.LANCZOS)
        file = picture_file(output, row["path"])
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(file, "WEBP", quality=70, method=4)
