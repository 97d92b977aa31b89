"""Images of 16 bits per sample, and the range that their values really use."""

import numpy as np
from PIL import Image

BITS_PER_SAMPLE, PHOTOMETRIC, MAX_SAMPLE_VALUE = 258, 262, 281  # TIFF tags
PLANAR_CONFIGURATION, SAMPLE_FORMAT = 284, 339
WHITE_IS_ZERO, PLANES = 0, 2
SIGNED, FLOAT = 2, 3

UNBOUNDED_MODES = frozenset({"I", "F"})
"""Pillow's, of 32 bits."""


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image, not yet loaded, has more than 8 bits per sample."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8
    return image.mode.startswith("I;16") or ";16" in str(image.tile[:1])


def has_known_range(image: Image.Image) -> bool:
    """Whether black and white of an opened image are known: not of signed or 32-bit values."""
    formats = getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, ())
    return image.mode not in UNBOUNDED_MODES and not {SIGNED, FLOAT} & set(formats)


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


def read_samples(image: Image.Image, content: bytes) -> np.ndarray:
    """Samples of a deep image.

    Parameters
    ----------
    image
        Opened, not yet loaded.
    content
        Of its file.

    Returns
    -------
    ndarray
        uint16, (height, width) or (height, width, 3); alpha is dropped. As they are stored: see
        `is_white_zero`.

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
        raise ValueError(
            "colours of 9 to 15 bits, or in planes of 16 bits, need the package imagecodecs: "
            "install it"
        ) from error
    try:
        if image.format == "PNG":
            samples = imagecodecs.png_decode(content)
        else:
            samples = imagecodecs.tiff_decode(content, index=0)
    except (RuntimeError, IndexError) as error:
        raise ValueError(str(error)) from error
    if _is_planar(image):
        samples = np.moveaxis(samples, 0, -1)
    if samples.dtype != np.uint16 or samples.shape[:2] != image.size[::-1]:
        raise ValueError("16 bits per colour, stored in an unusual way; store it as PNG")
    return samples[..., :3] if samples.shape[2] > 2 else samples[..., 0]


def is_white_zero(image: Image.Image) -> bool:
    """Whether the smallest value of an opened deep image is white, which Pillow does not mind."""
    return getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO


def _is_planar(image: Image.Image) -> bool:
    """Whether the colours of a deep TIFF lie one after another."""
    return getattr(image, "tag_v2", {}).get(PLANAR_CONFIGURATION) == PLANES


def _is_misread(image: Image.Image) -> bool:
    """Whether Pillow takes an opened deep image for another: planes without compression."""
    return _is_planar(image) and image.tile[0].codec_name == "raw"


def to_8_bits(image: Image.Image, content: bytes, bits: int | None) -> Image.Image:
    """The upper 8 of the bits that a deep image's values use.

    Parameters
    ----------
    image, content
        As in `read_samples`.
    bits
        Bits that the values use; None for what the file states, and 16 if it states nothing.

    Raises
    ------
    ValueError
        If a value needs more bits.
    """
    bits = bits or stated_bits(image) or 16
    if bits == 16 and not image.mode.startswith("I;16") and not _is_misread(image):
        return image  # of colours, Pillow itself keeps the upper 8 of 16 bits
    samples = read_samples(image, content)
    highest = int(samples.max())
    if highest >> bits:
        raise ValueError(
            f"values up to {highest} need more than {bits} bits; "
            f"set `bits: {highest.bit_length()}` of the dataset"
        )
    if is_white_zero(image):
        samples = (1 << bits) - 1 - samples
    return Image.fromarray((samples >> (bits - 8)).astype(np.uint8))


def unexplained_highest(image: Image.Image, content: bytes, bits: int | None) -> int:
    """Highest value of a deep image if nobody states its range, else 0."""
    if bits or stated_bits(image):
        return 0
    try:
        return int(read_samples(image, content).max())
    except ValueError:
        return 0  # without `bits`, Pillow uses such an image


def _first(value: int | tuple[int, ...] | None) -> int | None:
    return value[0] if isinstance(value, tuple) else value
