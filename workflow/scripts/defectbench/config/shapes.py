"""What methods make of the shapes and sizes of a category's images, and of the defects in them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import ceil
from typing import Any

import numpy as np

from defectbench.config.plan import Config, method_layers
from defectbench.errors import InputError
from defectbench.images.canvas import (
    ALIKE,
    CROP,
    ORIGINAL,
    PAD,
    Preprocessing,
    Shape,
    canvas,
    enlargement,
    follows_images,
    multiple_of,
    stretch,
    with_canvas,
    without_tiles,
)
from defectbench.images.index import IndexRow
from defectbench.images.tiles import Tiling
from defectbench.provenance import FACTS
from defectbench.scorers import scorer_class
from defectbench.storage import read_json


def check_shapes(config: Config, dataset: str, category: str, index: Sequence[IndexRow]) -> None:
    """Refuse tiles larger than the images, a pooling larger than a map, and places compared of
    images of several shapes.

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
            used = method["preprocessing"]
            raise InputError(
                f"config: preprocessings.{used}.tiles: {dataset}/{category}: {error}, as in "
                f"`preprocessings: {{{used}: {{tiles: {{size: …}}}}}}`"
            ) from error
        _check_pool(name, method, with_canvas(preprocessing, sizes))
        shapes = _shapes(sizes)
        squashed = not follows_images(preprocessing) and preprocessing.get("aspect") not in (
            PAD,
            ALIKE,
            CROP,
            ORIGINAL,
        )
        if len(shapes) > 1 and squashed and _compares_places(config, name):
            listed = ", ".join(f"{count} like {w}×{h}" for (h, w), count in shapes.most_common(3))
            raise InputError(
                f"config: methods.{name} compares each place with itself, and images of {dataset}/"
                f"{category} have {len(shapes)} shapes ({listed}), which {method['preprocessing']} "
                f"would squash to one: set `aspect: keep` or `aspect: pad` in `preprocessings."
                f"{method['preprocessing']}`, or use patchcore or patch_subspace"
            )


def _check_pool(name: str, method: Mapping[str, Any], preprocessing: Preprocessing) -> None:
    """Refuse a pooling over more positions than a map has, as far as strides are known."""
    side = min(canvas(without_tiles(preprocessing)))
    for backbone in method["backbones"]:
        for layer in method_layers(method):
            stride = stride_of(backbone, layer)
            if stride and method["pool"] > ceil(side / stride):
                raise InputError(
                    f"config: methods.{name}.pool: {method['pool']} is larger than the map of "
                    f"{layer} on {backbone}, whose shorter side has {ceil(side / stride)} positions"
                )


def _shapes(sizes: Sequence[Shape]) -> Counter[Shape]:
    """Images of each shape, by the most frequent size that has it."""
    found: Counter[Shape] = Counter()
    for size, count in Counter(sizes).most_common():
        alike = (known for known in found if stretch(size, known) <= ALIKE)
        found[next(alike, size)] += count
    return found


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
    for name, method in methods.items():
        preprocessing, cell = config["preprocessings"][method["preprocessing"]], _position(method)
        seen = _seen_areas(with_canvas(preprocessing, sizes), index)
        if cell and len(seen) and min(seen) < cell**2:
            yield (
                f"warning: {name} may miss the smallest defect, which covers {min(seen):,.0f} px "
                "of what the network sees, less than one position of its map "
                f"({cell}×{cell} px); use {_remedy(preprocessing, index, cell)}"
            )


def _remedy(preprocessing: Preprocessing, index: Sequence[IndexRow], cell: int) -> str:
    """What shows the smallest defect on a whole position of a map."""
    sizes = [(row.height, row.width) for row in index]
    size = with_canvas(preprocessing, sizes)["size"]
    if size == ORIGINAL:
        return "a finer layer"
    if isinstance(size, list):
        return "longer sides, or a finer layer"
    multiple = multiple_of(preprocessing)
    larger = ceil(size / multiple) * multiple
    whole = without_tiles(preprocessing)
    while min(_seen_areas(with_canvas(whole | {"size": larger}, sizes), index)) < cell**2:
        larger += multiple
    return f"size: {larger} or more, or a finer layer"


def _seen(preprocessing: Preprocessing, sizes: Sequence[Shape]) -> str:
    (height, width), _ = Counter(sizes).most_common(1)[0]
    rows, columns = canvas(preprocessing)
    side = enlargement(preprocessing, height, width) ** -0.5
    each = f"each of its pixels is {side:.1f}×{side:.1f} of the image" if side > 1 else "no less"
    tiling = Tiling.of(preprocessing)
    cut = f" in {len(tiling)} tiles of {tiling.size}" if tiling else ""
    return f"of {width}×{height} the network sees {columns}×{rows}{cut}, {each}"


def _defects(preprocessing: Preprocessing, index: Sequence[IndexRow]) -> str:
    areas = [row.defect_pixels for row in index if row.defect_pixels]
    if not areas:
        return ""
    seen = _seen_areas(preprocessing, index)
    return (
        f"; the smallest defect has {min(areas):,.0f} px, the median one {np.median(areas):,.0f}: "
        f"{min(seen):,.0f} and {np.median(seen):,.0f} px of what the network sees"
    )


def _seen_areas(preprocessing: Preprocessing, index: Sequence[IndexRow]) -> list[float]:
    """Pixels of what the network sees of each defect."""
    return [
        row.defect_pixels * enlargement(preprocessing, row.height, row.width)
        for row in index
        if row.defect_pixels
    ]


def _position(method: dict) -> int | None:
    """Side of one position of the finest map that a method reads, in pixels of the network."""
    strides = [
        stride
        for backbone in method["backbones"]
        for layer in method_layers(method)
        if (stride := stride_of(backbone, layer))
    ]
    return min(strides) * method["pool"] if strides else None
