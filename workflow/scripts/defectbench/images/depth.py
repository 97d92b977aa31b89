"""Images of 16 bits per sample, and the range that their values really use."""

from pathlib import Path

import numpy as np
from PIL import Image

BITS_PER_SAMPLE, MAX_SAMPLE_VALUE = 258, 281  # TIFF tags


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image, not yet loaded, has more than 8 bits per sample."""
    if image.mode.startswith("I;16"):
        return True
    return image.format in ("PNG", "TIFF") and bool(image.tile) and ";16" in str(image.tile[0].args)


def stated_bits(image: Image.Image) -> int | None:
    """Bits that a TIFF says its values use: packed so, or a highest value of all ones.

    PNG's sBIT is no such statement: samples are scaled to the whole range, whatever it says.
    Any other highest value may be that of this image alone.
    """
    tags = getattr(image, "tag_v2", {})
    packed, highest = (_first(tags.get(tag)) for tag in (BITS_PER_SAMPLE, MAX_SAMPLE_VALUE))
    if packed and 8 < packed < 16:
        return packed
    bits = highest.bit_length() if highest else 0
    return bits if 8 < bits <= 16 and highest == (1 << bits) - 1 else None


def read_samples(image: Image.Image, file: Path) -> np.ndarray:
    """Samples of a deep image.

    Parameters
    ----------
    image
        Opened, not yet loaded.
    file
        Its file.

    Returns
    -------
    ndarray
        uint16, (height, width) or (height, width, 3); alpha is dropped.

    Raises
    ------
    ValueError
        If the samples cannot be had: Pillow gives no more than 8 bits of colours.
    """
    if image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode not in ("RGB", "RGBA", "LA"):
        raise ValueError(f"the range of {image.mode} with 16 bits cannot be changed")
    try:
        import imagecodecs  # not there where an exported detector is run
    except ImportError as error:
        raise ValueError("colours of 9 to 15 bits need the package imagecodecs") from error
    content = file.read_bytes()
    try:
        if image.format == "PNG":
            samples = imagecodecs.png_decode(content)
        else:
            samples = imagecodecs.tiff_decode(content, index=0)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if samples.dtype != np.uint16 or samples.shape[:2] != image.size[::-1]:
        raise ValueError("16 bits per colour, stored in an unusual way; store it as PNG")
    return samples[..., :3] if samples.shape[2] > 2 else samples[..., 0]


def to_8_bits(image: Image.Image, file: Path, bits: int | None) -> Image.Image:
    """The upper 8 of the bits that a deep image's values use.

    Parameters
    ----------
    image, file
        As in `read_samples`.
    bits
        Bits that the values use; None for what the file states, and 16 if it states nothing.

    Raises
    ------
    ValueError
        If a value needs more bits.
    """
    bits = bits or stated_bits(image) or 16
    if bits == 16 and not image.mode.startswith("I;16"):
        return image  # of colours, Pillow itself keeps the upper 8 of 16 bits
    samples = read_samples(image, file)
    highest = int(samples.max())
    if highest >> bits:
        raise ValueError(f"values up to {highest} need more than {bits} bits; mend `bits`")
    return Image.fromarray((samples >> (bits - 8)).astype(np.uint8))


def unexplained_highest(image: Image.Image, file: Path, bits: int | None) -> int:
    """Highest value of a deep image if nobody states its range, else 0.

    Raises
    ------
    ValueError
        If a value needs more bits than asked for or stated.
    """
    known = bits or stated_bits(image)
    if known:
        to_8_bits(image, file, known)
        return 0
    try:
        return int(read_samples(image, file).max())
    except ValueError:
        return 0  # without `bits`, Pillow uses such an image


def _first(value: int | tuple[int, ...] | None) -> int | None:
    return value[0] if isinstance(value, tuple) else value
