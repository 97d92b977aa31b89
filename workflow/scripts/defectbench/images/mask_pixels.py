"""Ground-truth masks as arrays of pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

from defectbench.errors import InputError


def read_mask(file: Path, width: int, height: int, side: int | None = None) -> np.ndarray:
    """Which pixels are defective: those that are not black.

    Parameters
    ----------
    file
        Image of a mask; an alpha channel is not looked at.
    width, height
        Size of the image that the mask belongs to.
    side
        Resize the mask to a square of this side (Lanczos, then more than half covered), as
        published for FRE; by default it stays as it is.

    Returns
    -------
    ndarray
        bool, (height, width) or (side, side).

    Raises
    ------
    InputError
        If the file cannot be read or has another size than its image.
    """
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)
            has_alpha = image.mode in ("P", "PA", "LA", "RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: cannot be read as a mask ({error})") from error
    if pixels.ndim == 3:
        pixels = (pixels[..., :-1] if has_alpha else pixels).any(axis=-1)
    if pixels.shape != (height, width):
        found = f"{pixels.shape[1]}×{pixels.shape[0]}"
        raise InputError(f"{file}: {found}, its image is {width}×{height}; mend or remove the mask")
    marked = pixels != 0
    if side is None:
        return marked
    grey = Image.fromarray(np.where(marked, 255, 0).astype(np.uint8))
    return np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS)) > 127
