"""The image by which a detector proves itself, as its metadata carry it."""

import base64
import io

import numpy as np
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.canvas import Shape


def encode_probe(pixels: np.ndarray) -> str:
    """An image of network size as PNG in base64."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def decode_probe(text: str, shape: Shape) -> np.ndarray:
    """Image made by `encode_probe`: uint8, (height, width, 3).

    Raises
    ------
    InputError
        If it is no such image; its size is looked at before it is decoded.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as png:
            if png.size[::-1] != shape or png.mode != "RGB":
                raise InputError("its probe image has another size or mode than the network takes")
            return np.asarray(png)
    except InputError:
        raise
    except Exception as error:  # a decoder stumbles over what a stranger wrote
        raise InputError(f"its probe image cannot be decoded ({type(error).__name__})") from error
