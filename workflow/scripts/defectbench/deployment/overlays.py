"""Pictures of scored images: image, anomaly map and marked part side by side."""

from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.deployment.detector import Detector
from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.decoding import load_rgb
from defectbench.images.network_image import Decoded
from defectbench.names import named_after
from defectbench.progress import warn
from defectbench.reports.map_panels import draw_panels

OVERLAYS = "overlays"
LARGEST_PANEL = 1024


def picture(
    detector: Detector, image: Decoded, anomaly_map: np.ndarray | None, largest: int
) -> Image.Image:
    """An image, its map and its marked part side by side, as in the benchmark's pictures.

    Parameters
    ----------
    image, anomaly_map
        As decoded for the detector, and what the detector made of it; without a map the image
        stands alone.
    largest
        Longer side of one panel in pixels, at most; no image is enlarged.
    """
    preprocessing = detector.metadata["preprocessing"]
    if "crop" in preprocessing:  # the map is of a part: show what the network saw
        photo = Image.fromarray(image.pixels)
    else:
        photo = load_rgb(image.path, detector.metadata["bits"])
    if anomaly_map is None:
        photo.thumbnail((3 * largest, largest))
        return photo
    scale = MapScale(**detector.metadata["map_scale"])
    side = min(largest, max(photo.size))
    return draw_panels(photo, anomaly_map, None, scale, preprocessing, side)


def overlay_file(output: Path, name: str) -> Path:
    """Where the overlay of a scored image lies, if it was drawn."""
    return named_after(name, output / OVERLAYS, ".jpg")


def draw_overlay(
    detector: Detector, image: Decoded, anomaly_map: np.ndarray, output: Path, name: str
) -> None:
    """Draw the overlay of a scored image; what hinders it is told, for the verdict stands."""
    file = overlay_file(output, name)
    try:
        drawn = picture(detector, image, anomaly_map, LARGEST_PANEL)
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(file, "JPEG", quality=85)
    except (InputError, OSError) as error:  # the file has gone, the disk is full
        warn(f"no overlay of {name}: {error}")


def remove_overlays(output: Path, names: set[str]) -> None:
    """Remove the overlays of these images, and nothing else that lies there."""
    for name in names:
        overlay_file(output, name).unlink(missing_ok=True)
