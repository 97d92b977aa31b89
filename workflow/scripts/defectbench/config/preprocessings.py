"""Preprocessings that cannot be: sizes, proportions and tiles that do not go together."""

from collections.abc import Iterator, Mapping
from typing import Any

from defectbench.errors import InputError
from defectbench.images.canvas import AUTO, CROP, KEEP, ORIGINAL, PAD, multiple_of


def check_preprocessing(name: str, preprocessing: Mapping[str, Any]) -> None:
    """Refuse a preprocessing that can be made of no image.

    Raises
    ------
    InputError
        Naming the key and what to change.
    """
    for key, problem in _problems(preprocessing):
        raise InputError(f"config: preprocessings.{name}.{key}: {problem}")


def _problems(preprocessing: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys, and what is wrong with their values."""
    size, aspect = preprocessing["size"], preprocessing.get("aspect")
    multiple, tiles = multiple_of(preprocessing), preprocessing.get("tiles", {})
    sides = size if isinstance(size, list) else [] if size in (ORIGINAL, AUTO) else [size]
    if min(sides, default=multiple) < multiple:
        yield "size", f"{min(sides)} is less than {multiple}, the network's stride"
    if aspect in (PAD, CROP) and (size == ORIGINAL or isinstance(size, list)):
        yield "aspect", f"{aspect} makes a square: give it one side as size, or leave aspect out"
    if size == AUTO and aspect != KEEP:
        yield "size", "auto follows the images, so it needs aspect: keep"
    if aspect == KEEP and isinstance(size, list):
        yield "size", "with aspect: keep it is the longer side alone"
    if "crop" in preprocessing:
        if sides != [size] or aspect == KEEP or tiles:
            yield "crop", "needs a square: a single size, and neither aspect: keep nor tiles"
        elif preprocessing["crop"] > size:
            yield "crop", "larger than size"
    if not tiles:
        return
    if tiles["size"] % multiple:
        yield (
            "tiles.size",
            f"{tiles['size']} is no multiple of {multiple}, the network's stride",
        )
    if tiles["overlap"] >= tiles["size"]:
        yield "tiles.overlap", f"{tiles['overlap']} is not less than the tiles' size"
    if any(side % multiple for side in sides):
        yield "size", f"what is cut into tiles needs sides that are multiples of {multiple}"
    if aspect != KEEP and any(side < tiles["size"] for side in sides):
        yield "tiles.size", f"{tiles['size']} is larger than the canvas, {size}"
