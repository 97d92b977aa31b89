"""The set-ups that a search tries on a category, from the size of its images."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from defectbench.images.canvas import ALIKE, KEEP, ORIGINAL, Shape, canvas, with_canvas
from defectbench.images.index import IndexRow
from defectbench.provenance import FACTS
from defectbench.storage import read_json

SIDES = (256, 384, 512, 768, 1024)
LARGER = 1.75
"""How many times larger than the images a canvas may be. Enlarged, small images have more places in
a map; beyond, that costs more than it finds."""

TILES = {"size": 512, "overlap": 64}

DETECTORS: Mapping[str, tuple[str, tuple[str, ...], int, Mapping[str, Any]]] = {
    "dfkde": ("pca_kde", ("pooled",), 1, {"components": 16}),
    "nearest": ("nearest_neighbour", ("pooled",), 1, {}),
    "fre_16": ("pca_fre", ("16",), 4, {"variance": 0.97}),
    "fre_8": ("pca_fre", ("8",), 4, {"variance": 0.97}),
    "subspace_16": ("patch_subspace", ("16",), 1, {"variance": 0.99}),
    "subspace_8_16": ("patch_subspace", ("8", "16"), 1, {"variance": 0.99}),
    "patchcore_16": ("patchcore", ("16",), 1, {"coreset": 0.02}),
    "patchcore_16_10": ("patchcore", ("16",), 1, {"coreset": 0.1}),
    "patchcore_8_16": ("patchcore", ("8", "16"), 1, {"coreset": 0.01}),
    "padim_4_8_16": ("padim", ("4", "8", "16"), 1, {"channels": 100}),
}
"""By name: scorer, layers by their stride (``pooled``: the network's last vector), average pooling
of maps, parameters. A number in the name is a stride, a last one the share kept in percent."""

AT_MOST = {"padim_4_8_16": 384}
"""Longest side that a detector is tried on: PaDiM keeps a covariance of each place."""


class SetUp(NamedTuple):
    """One way to look for defects: two entries of a config, ready to paste.

    Attributes
    ----------
    name
        Of the method.
    canvas
        Name of the preprocessing.
    preprocessing
        Its entry of ``preprocessings``.
    method
        The entry of ``methods``: scorer, parameters, layers, ``pool``, ``preprocessing``,
        ``backbones`` (one).
    pixels
        Of the canvas.
    """

    name: str
    canvas: str
    preprocessing: Mapping[str, Any]
    method: Mapping[str, Any]
    pixels: int = 1

    @property
    def backbone(self) -> str:
        """The only backbone."""
        return self.method["backbones"][0]

    @property
    def taps(self) -> list[tuple[str, int]]:
        """Layers and their pooling."""
        return [(layer, self.method["pool"]) for layer in self.method["layers"]]

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the scorer."""
        others = {"scorer", "layers", "pool", "preprocessing", "backbones"}
        return {key: value for key, value in self.method.items() if key not in others}


def known_layers() -> dict[str, dict[str, str]]:
    """By backbone that a search can use: its layer of each stride, and the pooled one."""
    return read_json(FACTS / "search_layers.json")


def set_ups(sizes: Sequence[Shape], backbones: Sequence[str]) -> list[SetUp]:
    """All set-ups for a category, those of few pixels first.

    Parameters
    ----------
    sizes
        Height and width of each image.
    backbones
        To be tried; of `known_layers`.
    """
    layers = known_layers()
    seen = [(*each, canvas(with_canvas(each[1], sizes))) for each in _preprocessings(sizes)]
    seen.sort(key=lambda each: prod(each[2]))
    return [
        SetUp(
            f"{detector}_{name}" + (f"_{backbone}" if len(backbones) > 1 else ""),
            name,
            preprocessing,
            {
                "scorer": scorer,
                **parameters,
                "layers": [layers[backbone][stride] for stride in strides],
                "pool": pool,
                "preprocessing": name,
                "backbones": [backbone],
            },
            prod(shape),
        )
        for name, preprocessing, shape in seen
        for backbone in backbones
        for detector, (scorer, strides, pool, parameters) in DETECTORS.items()
        if max(shape) <= AT_MOST.get(detector, 1 << 20)
    ]


def taps_of(candidates: Sequence[SetUp]) -> dict[tuple[str, str], dict[str, Any]]:
    """By canvas and backbone, all that is read of it: entries for `feature_file.Pass.of_entry`."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in candidates:
        entry = found.setdefault(
            (each.canvas, each.backbone),
            {
                "preprocessing": each.canvas,
                "settings": each.preprocessing,
                "backbone": each.backbone,
                "taps": [],
            },
        )
        entry["taps"] = sorted({*entry["taps"], *each.taps})
    return found


def _preprocessings(sizes: Sequence[Shape]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Canvases by name: proportions kept and, of images that are no squares, squashed; tiles."""
    (height, width), _ = Counter(sizes).most_common(1)[0]
    longer, shorter = max(height, width), min(height, width)
    for side in SIDES:
        if side > max(SIDES[0], LARGER * longer):
            continue
        yield f"keep{side}", {"interpolation": "lanczos", "size": side, "aspect": KEEP}
        if longer > ALIKE * shorter:
            yield f"squash{side}", {"interpolation": "lanczos", "size": side}
    if min(min(size) for size in sizes) >= TILES["size"] and longer > SIDES[-1]:
        yield "tiles512", {"interpolation": "lanczos", "size": ORIGINAL, "tiles": dict(TILES)}


def searched_scorers() -> list[str]:
    """Names of all scorers that a search tries."""
    return sorted({scorer for scorer, *_ in DETECTORS.values()})


def searched_passes(index: Sequence[IndexRow], backbones: Sequence[str]) -> list[dict[str, Any]]:
    """Every pass over a category's images that a search may make."""
    sizes = [(row.height, row.width) for row in index]
    return list(taps_of(set_ups(sizes, backbones)).values())
