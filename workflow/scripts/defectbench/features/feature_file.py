"""The feature file of a category: a group per preprocessing and backbone, an array per layer.

Each image is decoded once for all groups, so one job writes the whole file. Arrays have a row per
image, in the order of the index; ``sha256`` of a group holds the digests of the images' files.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.images.canvas import Shape, canvas, with_canvas
from defectbench.images.index import IndexRow, images_digest
from defectbench.images.tiles import Tiling
from defectbench.memory import BLOCK_BYTES
from defectbench.provenance import file_sha256, library_versions
from defectbench.storage import open_h5, read_attributes
from defectbench.stored_layer import StoredLayer

LIBRARIES = ("pillow", "imagecodecs", "numpy", "torch", "torchvision", "timm")
"""That decode images and compute features."""

CPU = "CPU"
"""Name of a CPU as a device, whichever it is."""


class Made(NamedTuple):
    """Where and how features were computed.

    Attributes
    ----------
    device
        Name of the GPU, or `CPU`.
    precision
        ``fp32`` or ``bf16``.
    """

    device: str
    precision: str


class Tap(NamedTuple):
    """A layer's own output; a feature map average-pooled with window and stride `pool`."""

    layer: str
    pool: int

    @property
    def name(self) -> str:
        """Name of its array in a group of a feature file."""
        return f"{self.layer}/pool{self.pool}"


class Pass(NamedTuple):
    """One backbone over all images of a category in one preprocessing.

    Attributes
    ----------
    preprocessing
        Its name in the config.
    settings
        Its entry of ``preprocessings``, from `images.canvas.with_canvas`.
    backbone
        As in the config.
    weights
        File of its weights.
    taps
        What is read from it.
    """

    preprocessing: str
    settings: Mapping[str, Any]
    backbone: str
    weights: Path
    taps: tuple[Tap, ...]

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any], weights: str, index: Sequence[IndexRow]) -> Self:
        """The pass that an entry of a rule's parameter ``passes`` describes, over a category.

        Raises
        ------
        InputError
            If its tiles are larger than the canvas of these images.
        """
        taps = tuple(Tap(*tap) for tap in entry["taps"])
        try:
            settings = with_canvas(entry["settings"], [(row.height, row.width) for row in index])
        except InputError as error:
            name = entry["preprocessing"]
            raise InputError(f"config: preprocessings.{name}.tiles: {error}") from error
        return cls(**entry | {"settings": settings, "weights": Path(weights), "taps": taps})

    @property
    def name(self) -> str:
        """Name of its group in a feature file."""
        return f"{self.preprocessing}/{self.backbone}"

    @property
    def canvas(self) -> Shape:
        """Height and width in pixels of what the network sees of an image."""
        return canvas(self.settings)

    @property
    def tiling(self) -> Tiling | None:
        """The tiles that go through the network one by one; None for none."""
        return Tiling.of(self.settings)


def provenances(
    passes: Iterable[Pass],
    index: Sequence[IndexRow],
    bits: int | None,
    storage: str,
    code: str,
) -> dict[str, dict[str, Any]]:
    """What decides the features of each pass, by its name.

    Parameters
    ----------
    index
        Of the category.
    bits, storage
        Of values in 16-bit files, and of features, from the config.
    code
        Digest of the code of the rule `features`.
    """
    passes = list(passes)
    digests = {file: file_sha256(file) for file in {wanted.weights for wanted in passes}}
    shared = {
        "images_sha256": images_digest(index),
        "code": {"features": code},
        "versions": library_versions(*LIBRARIES),
        "bits": bits,
        "storage": storage,
    }
    return {
        wanted.name: shared
        | {"preprocessing": wanted.settings, "weights_sha256": digests[wanted.weights]}
        for wanted in passes
    }


Layers = np.ndarray | StoredLayer | list[np.ndarray] | list[StoredLayer]


@contextlib.contextmanager
def open_layers(
    path: str | Path, group: str, names: Sequence[str]
) -> Iterator[tuple[Layers, dict[str, Any]]]:
    """What a method reads: layers of a group, and what made them.

    Layers of less than `BLOCK_BYTES` together are read at once; of larger ones, blocks of images
    are read when they are asked for, as long as the block of this context lasts.

    Yields
    ------
    X : ndarray or StoredLayer, or a list of them for several layers
        Of all images, in the order of the index.
    provenance : dict
        As `category.write_features` or the rule `import_features` stored it.

    Raises
    ------
    InputError
        If the file is damaged, when that is noticed.
    """
    with open_h5(path) as file:
        layers = [StoredLayer(file[group][name]) for name in names]
        if sum(np.prod(layer.shape) * layer.dtype.itemsize for layer in layers) < BLOCK_BYTES:
            layers = [layer[:] for layer in layers]
        provenance = read_attributes(file[group])["provenance"]
        yield layers if len(layers) > 1 else layers[0], provenance
