"""The canvas: what the network sees of an image, its shape and the image's place on it.

All images of a category have one canvas, as large as ``size`` says. Where the proportions are kept,
its shape is that of the most frequent images, and an image of another shape covers a part of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

from defectbench.errors import InputError

SQUASH, PAD, CROP, KEEP = "squash", "pad", "crop", "keep"
ASPECTS = (SQUASH, PAD, CROP, KEEP)

ORIGINAL = "original"
"""As a ``size``: images are not resized."""

AUTO, LEAST, MOST = "auto", 256, 512
"""As a ``size``: the longer side of the images themselves, within these bounds. Below, networks of
photographs see too little of a part; above, most parts are found no better, for four times the
cost (docs/methods.md)."""

MULTIPLE = 32
"""What sides that follow from an image are rounded to: the stride of the networks here."""

ALIKE = 1.1
"""How many times longer one side may become against the other, and the shape is the same."""

Shape = tuple[int, int]
"""Height and width."""

Preprocessing = Mapping[str, Any]
"""An entry of ``preprocessings`` in the config; see `with_canvas`."""


class Place(NamedTuple):
    """Part of a canvas that an image covers, in pixels of the canvas."""

    top: int
    left: int
    height: int
    width: int


def with_canvas(preprocessing: Preprocessing, sizes: Iterable[Shape]) -> dict[str, Any]:
    """A preprocessing that knows the canvas of a category, as far as that follows from its images.

    Parameters
    ----------
    preprocessing
        As in the config.
    sizes
        Height and width of each image of the category.

    Raises
    ------
    InputError
        If a tile is larger than the canvas.
    """
    known, sizes = dict(preprocessing), list(sizes)
    if follows_images(preprocessing):
        counts = Counter(sizes)
        most = max(counts, key=lambda size: (counts[size], size))
        if known["size"] == AUTO:
            longer = _rounded(max(most), multiple_of(known))
            known["size"] = min(max(longer, LEAST), MOST)
        known["canvas"] = list(own_canvas(known, *most))
    tile, multiple = known.get("tiles", {}).get("size", 0), multiple_of(known)
    least = min(sizes, key=lambda size: min(part(known, *size)), default=None)
    if tile and least is not None and tile > min(part(known, *least)):
        height, width = part(known, *least)
        larger = "" if preprocessing["size"] == ORIGINAL else ", or a larger size"
        raise InputError(
            f"tiles of {tile} are larger than {width}×{height} pixels, which is what the network "
            f"sees of {sizes.count(least)} of {len(sizes)} images ({least[1]}×{least[0]}): use at "
            f"most {min(height, width) // multiple * multiple}{larger}"
        )
    return known


def without_tiles(preprocessing: Preprocessing) -> dict[str, Any]:
    """The same canvas, not cut."""
    return {key: value for key, value in preprocessing.items() if key != "tiles"}


def follows_images(preprocessing: Preprocessing) -> bool:
    """Whether the canvas depends on the images, and an image may cover a part of it."""
    return preprocessing.get("aspect") == KEEP or preprocessing.get("size") == ORIGINAL


def canvas(preprocessing: Preprocessing) -> Shape:
    """Height and width of the canvas of a category; from `with_canvas`, if it follows images."""
    if follows_images(preprocessing):
        height, width = preprocessing["canvas"]
        return height, width
    return own_canvas(preprocessing, 1, 1)


def own_canvas(preprocessing: Preprocessing, height: int, width: int) -> Shape:
    """Canvas of a category whose images all have this size."""
    size, multiple = preprocessing["size"], multiple_of(preprocessing)
    if size == ORIGINAL:
        return _rounded(height, multiple), _rounded(width, multiple)
    if isinstance(size, list):
        return size[0], size[1]
    if preprocessing.get("aspect") != KEEP:
        side = preprocessing.get("crop", size)
        return side, side
    longer = max(height, width)
    rows, columns = (
        size if length == longer else _rounded(size * length / longer, multiple)
        for length in (height, width)
    )
    return rows, columns


def part(preprocessing: Preprocessing, height: int, width: int) -> Shape:
    """Height and width of what an image of this size covers of the canvas of its category.

    That is all of it, but for an image of other proportions than those that the canvas follows: it
    is scaled to fit. What is not to be resized is at most made smaller.
    """
    rows, columns = canvas(preprocessing)
    if covers(preprocessing, height, width):
        return rows, columns
    scale, multiple = min(rows / height, columns / width), multiple_of(preprocessing)
    if preprocessing["size"] == ORIGINAL:
        scale = min(scale, 1)
    return (
        min(rows, _rounded(scale * height, multiple)),
        min(columns, _rounded(scale * width, multiple)),
    )


def covers(preprocessing: Preprocessing, height: int, width: int) -> bool:
    """Whether an image of this size covers the canvas of its category."""
    if not follows_images(preprocessing):
        return True
    return own_canvas(preprocessing, height, width) == canvas(preprocessing)


def stretch(size: Shape, other: Shape) -> float:
    """How many times longer one side is against the other one, of an image of another size."""
    ratio = size[0] * other[1] / (size[1] * other[0])
    return max(ratio, 1 / ratio)


def distortion(preprocessing: Preprocessing, height: int, width: int) -> float:
    """The same of what the network sees of an image; 1 of one whose proportions are kept."""
    if preprocessing.get("aspect") in (PAD, CROP):
        return 1.0
    return stretch((height, width), part(preprocessing, height, width))


def enlargement(preprocessing: Preprocessing, height: int, width: int) -> float:
    """Pixels that the network sees of one pixel of an image of this size; mostly less than one."""
    aspect, size = preprocessing.get("aspect", SQUASH), preprocessing["size"]
    if aspect in (PAD, CROP):
        return (size / square_side(height, width, aspect)) ** 2
    if "crop" in preprocessing:
        return size**2 / (height * width)
    return prod(part(preprocessing, height, width)) / (height * width)


def place(preprocessing: Preprocessing, covered: Shape) -> Place:
    """Where a part of the canvas lies: in the middle, as far as multiples of the stride allow."""
    multiple = multiple_of(preprocessing)
    top, left = (
        (length - own) // 2 // multiple * multiple
        for length, own in zip(canvas(preprocessing), covered, strict=True)
    )
    return Place(top, left, *covered)


def multiple_of(preprocessing: Preprocessing) -> int:
    """What sides that follow from an image, and the places of tiles, are multiples of."""
    return preprocessing.get("multiple", MULTIPLE)


def _rounded(length: float, multiple: int) -> int:
    return max(multiple, round(length / multiple) * multiple)


def square_side(height: int, width: int, aspect: str) -> int:
    """Side of the square that an image is padded or cut to."""
    return max(height, width) if aspect == PAD else min(height, width)


def middle(length: int, part: int) -> slice:
    """Where a part of an axis lies that leaves as much on both sides."""
    start = (length - part) // 2
    return slice(start, start + part)
