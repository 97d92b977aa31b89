"""Pixels of a ground-truth mask: which are defective, and by which rule its values say so."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.decoding import GREY_MODES, content_of, open_image, reading, upright
from defectbench.images.depth import is_deep, is_white_zero, read_samples

TWO_VALUES, GREYS, LABELS = "two values", "greys", "labels"
"""Rules: what is not black; the brighter half of the greys; all above 0, of dark values."""


class Mask(NamedTuple):
    """A mask of one image.

    Attributes
    ----------
    marked
        bool, (height, width): which pixels are defective.
    rule
        `TWO_VALUES`, `GREYS` or `LABELS`: how that was told.
    """

    marked: np.ndarray
    rule: str


def load_mask(file: Path, width: int, height: int) -> Mask:
    """Read a mask as images are read, and tell which pixels are defective.

    Parameters
    ----------
    file
        Image of the mask. Of colours the brightest channel counts; transparent pixels are not
        marked.
    width, height
        Size of the image that the mask belongs to.

    Raises
    ------
    InputError
        If the file cannot be read or has another size than its image.
    """
    with reading(file, "a mask"):
        values = _values(content_of(file))
    if values.shape != (height, width):
        found = f"{values.shape[1]}×{values.shape[0]}"
        raise InputError(f"{file}: {found}, its image is {width}×{height}")
    return marked_pixels(values)


def read_mask(file: Path, width: int, height: int, side: int | None = None) -> np.ndarray:
    """Which pixels are defective.

    Parameters
    ----------
    file, width, height
        As in `load_mask`, and so are the errors.
    side
        Resize the mask to a square of this side (Lanczos, then more than half covered), as
        published for FRE; by default it stays as it is. A mask that would vanish keeps the one
        pixel that it covers most, or a defective image would count as a good one.

    Returns
    -------
    ndarray
        bool, (height, width) or (side, side).
    """
    marked = load_mask(file, width, height).marked
    if side is None:
        return marked
    grey = Image.fromarray(np.where(marked, 255, 0).astype(np.uint8))
    small = np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS)) > 127
    return small if small.any() or not marked.any() else _most_covered(marked, side)


def marked_pixels(values: np.ndarray) -> Mask:
    """Tell defective pixels by the values of a mask.

    Two values mean what they say: what is not black is defective. More of them are greys between
    black and white, such as a lossy format makes, and the brighter half is defective; or, where
    none is that bright, numbers of labels.

    Parameters
    ----------
    values
        uint8 or uint16, (height, width).
    """
    half = 1 << (8 * values.dtype.itemsize - 1)
    low, high = values.min(), values.max()
    if not ((values != low) & (values != high)).any():
        return Mask(values > 0, TWO_VALUES)
    return Mask(values > 0, LABELS) if high < half else Mask(values >= half, GREYS)


def _values(content: bytes) -> np.ndarray:
    """Brightest channel of a mask, upright: uint8, or uint16 of a deep file."""
    with open_image(content) as image:
        if image.has_transparency_data:
            colours = np.asarray(upright(image, image).convert("RGBA"))
            return colours[..., :3].max(axis=-1) * (colours[..., 3] > 127)
        if is_deep(image):
            samples = read_samples(image, content)
            brightest = samples.max(axis=-1) if samples.ndim == 3 else samples
            shown = ~brightest if is_white_zero(image) else brightest
            return np.asarray(upright(Image.fromarray(shown), image))
        shown = upright(image, image)
        if shown.mode in GREY_MODES:
            return np.asarray(shown.convert("L"))
        return np.asarray(shown.convert("RGB")).max(axis=-1)


def _most_covered(marked: np.ndarray, side: int) -> np.ndarray:
    """One pixel of a square of this side: that on which most marked pixels fall."""
    rows, columns = np.nonzero(marked)
    height, width = marked.shape
    places = rows * side // height * side + columns * side // width
    small = np.zeros(side * side, bool)
    small[np.bincount(places).argmax()] = True
    return small.reshape(side, side)
