"""The orientation that a file states in EXIF or XMP, and the image turned by it."""

from pathlib import Path

from PIL import ExifTags, Image

UPRIGHT = 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's number, what turns the stored image upright."""


def open_image(file: Path) -> Image.Image:
    """An image opened, as by Pillow, to be loaded right whatever its orientation."""
    image = Image.open(file)
    if image.format == "TIFF":
        image.filename = ""  # or Pillow 13 maps a turned TIFF into memory with its sides swapped
    return image


def orientation(image: Image.Image) -> int:
    """EXIF's number of how an opened image is stored, as far as Pillow has not applied it."""
    return image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)


def turn_upright(image: Image.Image, stated: int) -> Image.Image:
    """An image turned by an orientation; numbers that EXIF does not know turn nothing."""
    return image.transpose(TURNS[stated]) if stated in TURNS else image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a loaded image once it is upright."""
    width, height = image.size
    return (height, width) if orientation(image) in (5, 6, 7, 8) else (width, height)
