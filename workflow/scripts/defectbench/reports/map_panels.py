"""An anomaly map in a picture: image, map, and one laid over the other, side by side.

The page, ``reports/{dataset}_maps``, the verdicts on new images and ``make score`` draw with it; an
exported detector is run where there is no more than NumPy and Pillow, so it needs nothing else.
"""

import numpy as np
from PIL import Image, ImageFilter

from defectbench.evaluation.map_geometry import MapScale, over_whole_image
from defectbench.images.canvas import Preprocessing
from defectbench.scorers.grids import bilinear

PANEL = 320
"""Longer side of one of the three panels, in pixels."""

GAP = 4

# dark violet over red to pale yellow: lightness rises, so that it reads without colour vision
COLOURS = np.array(
    [(10, 7, 40), (64, 18, 100), (125, 30, 105), (186, 52, 80), (232, 98, 42), (250, 166, 30),
     (252, 246, 170)],
    np.float32,
)  # fmt: skip
OUTLINE = (0, 225, 255)
"""A colour that the scale does not have."""


def draw_panels(
    image: Image.Image,
    anomaly_map: np.ndarray,
    mask: np.ndarray | None,
    scale: MapScale,
    preprocessing: Preprocessing,
    side: int = PANEL,
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
    preprocessing
        Of which the map's canvas is.
    side
        Longer side of one panel, in pixels.
    """
    ratio = side / max(image.size)
    width, height = (max(1, round(length * ratio)) for length in image.size)
    photo = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    whole = over_whole_image(
        anomaly_map, image.size[::-1], preprocessing, scale.typical, (height, width)
    )
    levels = scale.levels(bilinear(whole, (height, width)))
    colours = colour(levels)
    # nearly half the colour shows at once from the threshold on: its edge is the detector's answer
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
    """Two pixels around the regions of a mask at another size, bool, (height, width)."""
    # as float32, for in 8 bits a single pixel of a large mask would round to nothing
    grey = Image.fromarray(np.where(mask, 255, 0).astype(np.float32))
    covered = np.asarray(grey.resize((width, height), Image.Resampling.BOX)) > 0
    grown = Image.fromarray(covered.astype(np.uint8)).filter(ImageFilter.MaxFilter(5))
    return (np.asarray(grown) > 0) & ~covered
