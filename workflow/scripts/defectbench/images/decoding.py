"""From image files to 8-bit RGB, upright, and to what networks take of them.

One loader serves all who read images: what the index checks, the extraction and an exported
detector decode in the same way and refuse for the same reasons.
"""

import contextlib
import io
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from defectbench.errors import InputError
from defectbench.images import jpeg, png
from defectbench.images.canvas import Preprocessing
from defectbench.images.depth import has_known_range, is_deep, to_8_bits, unexplained_highest
from defectbench.images.layout import KINDS
from defectbench.images.resizing import preprocess
from defectbench.special_files import is_special

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
"""Pillow's names of `layout.KINDS`."""

IN_PAGES = frozenset({"TIFF", "MPO"})
"""Formats whose further pictures are pages, MPO that of a JPEG; in others they are an animation."""

GREY_MODES = frozenset({"1", "L", "LA"})

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Iterator[Result]:
    """Results of a function for each item, in the items' order, computed ahead in threads.

    Work begins with the call and not with the first result that is asked for, so that images are
    decoded while a network is still being loaded.

    Parameters
    ----------
    function
        What is done in the threads; decoders and resizers work outside Python's lock.
    items
        Taken one by one, as results are handed out.
    threads
        How many items to work on at once.
    ahead
        Items that may be begun or done before their result is asked for, which bounds memory.

    Returns
    -------
    iterator
        An error of `function` is raised where its result would have come.
    """
    pool, items = ThreadPoolExecutor(threads), iter(items)
    pending = deque(pool.submit(function, item) for item in islice(items, ahead))

    def results() -> Iterator[Result]:
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))

    found = results()
    # a process that fails ends only when its threads do, with all that they were asked for; a
    # `finally` in the generator would not run where the failure comes before the first result
    weakref.finalize(found, pool.shutdown, wait=False, cancel_futures=True)
    return found


def load_resized(
    file: Path, preprocessings: Mapping[str, Preprocessing], bits: int | None = None
) -> dict[str, np.ndarray]:
    """Decode a file once and resize it in every way.

    Parameters
    ----------
    preprocessings
        By name, from `canvas.with_canvas`.
    bits
        As in `load_image`.

    Returns
    -------
    dict of ndarray
        By the preprocessing's name, as from `resizing.preprocess`.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    image = load_image(file, bits)
    return {name: preprocess(image, entry) for name, entry in preprocessings.items()}


@contextlib.contextmanager
def reading(file: Path, what: str = "an image") -> Iterator[None]:
    """Name a file that cannot be read, with the reason, whatever its decoder raises.

    Raises
    ------
    InputError
        In place of any other error within the block, but for a lack of memory.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of a damaged file, decoders raise errors of all kinds
        raise InputError(f"{file}: cannot be read as {what} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """What an error says, without addresses and numbers that tell nothing."""
    if isinstance(error, UnidentifiedImageError):
        return f"not a {KINDS} file of 8 or 16 bits, or damaged; store it as one"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def open_image(content: bytes) -> Iterator[Image.Image]:
    """An image opened by Pillow, if it is whole as far as its format tells, and one picture.

    Parameters
    ----------
    content
        Of the file.

    Raises
    ------
    ValueError, OSError or another error
        If it is not, or no image.
    """
    if content.startswith(png.SIGNATURE):
        png.check_chunks(content)
    elif content.startswith(jpeg.START):
        jpeg.check_jpeg(content)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.format == "PNG":
            png.check_rows(content)
        if pages(image) > 1 and image.format not in IN_PAGES:
            raise ValueError("it is an animation; store one picture of it")
        if not has_known_range(image):
            raise ValueError(
                "32 bits, signed values and floats have no known range; store 8 or 16 bits"
            )
        yield image


def has_transparent_parts(image: Image.Image) -> bool:
    """Whether an opened image has pixels that are not opaque."""
    if not image.has_transparency_data or is_deep(image):  # a deep one's alpha is not looked at
        return image.has_transparency_data
    return image.convert("RGBA").getchannel("A").getextrema()[0] < 255


def pages(image: Image.Image) -> int:
    """Number of pictures in an opened image's file."""
    return getattr(image, "n_frames", 1)  # of formats that hold one, Pillow has none


class Seen(NamedTuple):
    """What there is to know of an image beside its pixels.

    Attributes
    ----------
    mode
        Pillow's, of the file.
    size
        Width and height once it is upright.
    turned
        Whether the file states an orientation other than upright.
    transparent
        Whether a part of it is not opaque.
    pages
        Pictures in the file, of which the first is used.
    highest
        Highest value of a 16-bit file whose range nobody states; 0 for other files.
    """

    mode: str
    size: tuple[int, int]
    turned: bool
    transparent: bool
    pages: int
    highest: int


def look_at(content: bytes, bits: int | None = None) -> Seen:
    """Check an image as `decode` does, and tell what there is to know of it.

    What was checked of a PNG is all that its decoding asks for, so that it is spared.
    """
    with open_image(content) as image:
        deep, transparent = is_deep(image), has_transparent_parts(image)
        seen = Seen(image.mode, image.size, False, transparent, pages(image), 0)
        if image.format == "PNG" and not deep and not png.may_be_turned(content):
            return seen
        turned = orientation(image) in TURNS
        highest = unexplained_highest(image, content, bits) if deep else 0
        size = _decoded(image, content, bits).size
    return seen._replace(size=size, turned=turned, highest=highest)


def decode(content: bytes, bits: int | None = None) -> Image.Image:
    """The image that a file's content is, as `load_image` gives it; any error if it is damaged."""
    if content.startswith(png.SIGNATURE):
        png.check_chunks(content)
        plain = png.decode_plain_png(content)
        if plain is not None:
            return Image.fromarray(plain)
    with open_image(content) as image:
        return _decoded(image, content, bits)


def _decoded(image: Image.Image, content: bytes, bits: int | None) -> Image.Image:
    shallow = to_8_bits(image, content, bits) if is_deep(image) else image
    return upright(shallow, image).convert("L" if shallow.mode in GREY_MODES else "RGB")


def content_of(file: Path) -> bytes:
    """What a file holds; ValueError of what is none, as a pipe, of which a read would never end."""
    if is_special(file):
        raise ValueError("it is no file; remove it")
    return file.read_bytes()


def load_image(file: Path, bits: int | None = None) -> Image.Image:
    """Read an image as it is to be seen, as 8-bit RGB, or as 8-bit grey if the file is grey.

    An alpha channel is dropped, and an orientation that the file states is applied. Of several
    pages the first is read.

    Parameters
    ----------
    file
        The image.
    bits
        Bits that 16-bit values use, 9 to 16; the upper 8 of them are kept. None for what the
        file states, and 16 if it states nothing.

    Raises
    ------
    InputError
        If the file cannot be decoded, or a value needs more bits.
    """
    with reading(Path(os.path.realpath(file))):  # a link in a circle cannot be resolved
        return decode(content_of(file), bits)


def load_rgb(file: Path, bits: int | None = None) -> Image.Image:
    """Read an image as 8-bit RGB, as `load_image` does; grey is replicated."""
    return load_image(file, bits).convert("RGB")


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


def orientation(image: Image.Image) -> int:
    """EXIF's number of how an opened image is stored, as far as Pillow has not applied it."""
    return image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)


def upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Pixels of an opened image, or the image itself, turned as it says."""
    pixels.load()  # Pillow turns a TIFF itself, here
    stated = orientation(image)  # of a number that EXIF does not know, nothing is turned
    return pixels.transpose(TURNS[stated]) if stated in TURNS else pixels
