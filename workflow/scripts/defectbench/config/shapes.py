"""What methods make of the shapes and sizes of a category's images, and of the defects in them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from math import ceil

import numpy as np

from defectbench.config.plan import Config, method_layers
from defectbench.errors import InputError
from defectbench.images.canvas import (
    CROP,
    PAD,
    Preprocessing,
    Shape,
    canvas,
    enlargement,
    follows_images,
    multiple_of,
    with_canvas,
)
from defectbench.images.index import IndexRow
from defectbench.provenance import FACTS
from defectbench.scorers import scorer_class
from defectbench.storage import read_json

ALIKE = 1.1
"""By how much images of one shape may be stretched against each other."""


def check_shapes(config: Config, dataset: str, category: str, index: Sequence[IndexRow]) -> None:
    """Refuse tiles larger than the images, and places compared of images of several shapes.

    Raises
    ------
    InputError
        Naming the key and what to change.
    """
    sizes = [(row.height, row.width) for row in index]
    for name in config["datasets"][dataset]["methods"]:
        method = config["methods"][name]
        preprocessing = config["preprocessings"][method["preprocessing"]]
        try:
            with_canvas(preprocessing, sizes)
        except InputError as error:
            key = f"preprocessings.{method['preprocessing']}.tiles"
            raise InputError(f"config: {key}: {dataset}/{category}: {error}") from error
        shapes = _shapes(sizes)
        squashed = not follows_images(preprocessing) and preprocessing.get("aspect") not in (
            PAD,
            CROP,
        )
        if len(shapes) > 1 and squashed and _compares_places(config, name):
            listed = ", ".join(f"{count} like {w}×{h}" for (h, w), count in shapes.most_common(3))
            raise InputError(
                f"config: methods.{name} compares each place with itself, and images of {dataset}/"
                f"{category} have {len(shapes)} shapes ({listed}), which {method['preprocessing']} "
                "would squash to one: give it a preprocessing with aspect: keep or pad, or use "
                "patchcore or patch_subspace"
            )


def _shapes(sizes: Sequence[Shape]) -> Counter[Shape]:
    """Images of each shape, by the most frequent size that has it."""
    found: Counter[Shape] = Counter()
    for size, count in Counter(sizes).most_common():
        alike = (known for known in found if _stretch(size, known) <= ALIKE)
        found[next(alike, size)] += count
    return found


def _stretch(size: Shape, other: Shape) -> float:
    """How many times longer one side is, of the other, than of another image."""
    ratio = size[0] * other[1] / (size[1] * other[0])
    return max(ratio, 1 / ratio)


def _compares_places(config: Config, name: str) -> bool:
    """Whether a method compares each place of an image with itself, as far as that is known."""
    method = config["methods"][name]
    if scorer_class(method["scorer"]).position_free:
        return False
    return any(
        stride_of(backbone, layer) is not None
        for backbone in method["backbones"]
        for layer in method_layers(method)
    )


@cache
def _strides() -> dict[str, dict[str, int]]:
    known = read_json(FACTS / "layer_strides.json")
    return {
        backbone: {layer: int(stride) for stride, layers in own.items() for layer in layers}
        for backbone, own in known.items()
    }


def stride_of(backbone: str, layer: str) -> int | None:
    """Pixels of the image from one position of a layer's map to the next; None for no map.

    None, too, where the backbone is not one of the project's own.
    """
    return _strides().get(backbone, {}).get(layer)


def visibility(config: Config, dataset: str, index: Sequence[IndexRow]) -> Iterator[str]:
    """What networks see of a category's defects, in sentences.

    Parameters
    ----------
    index
        Of the category; it has to have passed `check_shapes`.
    """
    methods = {name: config["methods"][name] for name in config["datasets"][dataset]["methods"]}
    sizes = [(row.height, row.width) for row in index]
    for name in dict.fromkeys(method["preprocessing"] for method in methods.values()):
        preprocessing = with_canvas(config["preprocessings"][name], sizes)
        yield f"{name}: {_seen(preprocessing, sizes)}{_defects(preprocessing, index)}"
    smallest = _areas(index).min(initial=np.inf)
    for name, method in methods.items():
        preprocessing = with_canvas(config["preprocessings"][method["preprocessing"]], sizes)
        cell = _position(method)
        seen = min(smallest * _ratio(preprocessing, sizes), np.inf)
        if cell and seen < cell**2:
            longer = max(canvas(preprocessing)) * cell / seen**0.5
            multiple = multiple_of(preprocessing)
            yield (
                f"mind {name}: the smallest defect covers {seen:,.0f} px of what the network sees, "
                f"less than one position of its map ({cell}×{cell} px): use size: "
                f"{ceil(longer / multiple) * multiple} or more, tiles, or a finer layer"
            )


def _seen(preprocessing: Preprocessing, sizes: Sequence[Shape]) -> str:
    (height, width), _ = Counter(sizes).most_common(1)[0]
    rows, columns = canvas(preprocessing)
    ratio = enlargement(preprocessing, height, width)
    each = f"one pixel of it is {1 / ratio:.3g} of the image" if ratio < 1 else "no pixel is lost"
    return f"of {width}×{height} the network sees {columns}×{rows}, {each}"


def _defects(preprocessing: Preprocessing, index: Sequence[IndexRow]) -> str:
    areas = _areas(index)
    if not len(areas):
        return ""
    seen = [
        row.defect_pixels * enlargement(preprocessing, row.height, row.width)
        for row in index
        if row.defect_pixels
    ]
    return (
        f"; the smallest defect has {areas.min():,.0f} px, the median one {np.median(areas):,.0f}: "
        f"{min(seen):,.0f} and {np.median(seen):,.0f} px of what the network sees"
    )


def _areas(index: Sequence[IndexRow]) -> np.ndarray:
    return np.array([row.defect_pixels for row in index if row.defect_pixels], float)


def _ratio(preprocessing: Preprocessing, sizes: Sequence[Shape]) -> float:
    size, _ = Counter(sizes).most_common(1)[0]
    return enlargement(preprocessing, *size)


def _position(method: dict) -> int | None:
    """Side of one position of the finest map that a method reads, in pixels of the network."""
    strides = [
        stride
        for backbone in method["backbones"]
        for layer in method_layers(method)
        if (stride := stride_of(backbone, layer))
    ]
    return min(strides) * method["pool"] if strides else None
