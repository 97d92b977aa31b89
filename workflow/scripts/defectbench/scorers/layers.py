"""The features that scorers take, read block by block."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Protocol

import numpy as np

from defectbench.errors import InputError
from defectbench.memory import BLOCK_BYTES

NO_VARIANCE = (
    "all training features are equal, so that nothing can be learnt from them: look at the "
    "training images, or at what made the features"
)


class Layer(Protocol):
    """Features of one layer: an array, or what reads them from disk when they are asked for.

    Vectors (n_images, n_dimensions), maps (n_images, channels, height, width), or vectors of tiles
    (n_images, tiles, n_dimensions), which `largest_tile` makes vectors.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    """float32 or float64, of what a slice gives."""
    ndim: int

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Features of consecutive images."""

    def take(self, rows: np.ndarray, /, axis: int) -> "Layer":
        """The layer of some images, by row numbers in any order; `axis` is 0."""


Features = Layer | list[Layer]
"""Features of one layer, or a list with those of several layers of the same images."""


def layer_list(X: Features) -> list[Layer]:
    """Features as a list of layers.

    Raises
    ------
    InputError
        If a layer is neither vectors nor maps, has no images or others than the first one.
    """
    layers = X if isinstance(X, list) else [X]
    for layer in layers:
        if layer.ndim not in (2, 4) or not prod(layer.shape):
            raise InputError(
                f"features have shape {layer.shape}, expected images by dimensions or images by "
                "channels, height and width"
            )
        if len(layer) != len(layers[0]):
            raise InputError(f"layers have features of {len(layers[0])} and {len(layer)} images")
    return layers


def map_list(X: Features) -> list[Layer]:
    """Like `layer_list`, for scorers that need maps.

    Raises
    ------
    InputError
        If a layer holds vectors, or the features are unusable otherwise.
    """
    layers = layer_list(X)
    for layer in layers:
        if layer.ndim != 4:
            raise InputError(
                f"features of shape {layer.shape} have no place: choose a layer with maps (images, "
                "channels, height, width)"
            )
    return layers


def read_images(layers: Sequence[Layer], rows: slice) -> list[np.ndarray]:
    """Features of consecutive images of every layer.

    Raises
    ------
    InputError
        If they have NaN or infinite entries; the message names the image's number.
    """
    parts = [layer[rows] for layer in layers]
    for part in parts:
        with np.errstate(all="ignore"):
            if np.isfinite(np.vdot(part, part)):  # in a fifth of the time
                continue
        finite = np.array([np.isfinite(image).all() for image in part])
        if not finite.all():
            number = (rows.start or 0) + int(np.argmin(finite))
            raise InputError(f"features of image {number} are NaN or infinite")
    return parts


def image_blocks(X: Features, stop: int | None = None) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """All images, or those before `stop`, in blocks of at most `BLOCK_BYTES`, at least one each.

    Yields
    ------
    rows : slice
        Of the images.
    parts : list of ndarray
        Their features, one array per layer.

    Raises
    ------
    InputError
        If the features are unusable, or not finite.
    """
    layers = layer_list(X)
    step = max(1, BLOCK_BYTES // sum(map(_image_bytes, layers)))
    for start in range(0, len(layers[0]) if stop is None else stop, step):
        rows = slice(start, min(start + step, len(layers[0])))
        yield rows, read_images(layers, rows)


def in_one_block(X: Features) -> bool:
    """Whether `image_blocks` gives all images at once."""
    layers = layer_list(X)
    return len(layers[0]) * sum(map(_image_bytes, layers)) <= BLOCK_BYTES


def _image_bytes(layer: Layer) -> int:
    return prod(layer.shape[1:]) * layer.dtype.itemsize


def has_maps(X: Features) -> bool:
    """Whether the features of every layer have a place in the image."""
    return all(layer.ndim == 4 for layer in (X if isinstance(X, list) else [X]))


def take_images(X: Features, rows: np.ndarray | list[bool]) -> Features:
    """Features of some images, by row numbers or a mask; nothing is read from disk yet."""
    rows = np.asarray(rows)
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    return (
        [layer.take(rows, axis=0) for layer in X] if isinstance(X, list) else X.take(rows, axis=0)
    )


def number_of_images(X: Features) -> int:
    """Images that the features belong to."""
    return len(X[0] if isinstance(X, list) else X)


def check_varied(X: Features) -> None:
    """Refuse training features that are all equal.

    Raises
    ------
    InputError
        If every image of every layer equals the first one.
    """
    first: list[np.ndarray] = []
    for _, parts in image_blocks(X):
        first = first or [part[0] for part in parts]
        pairs = zip(parts, first, strict=True)
        if any((image != origin).any() for part, origin in pairs for image in part):
            return
    raise InputError(NO_VARIANCE)


def reading_bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    """Memory for features on their way through a scorer, in bytes.

    Small ones are in memory whole, those of a fold and of the test images once more; of large ones
    there are some blocks, as read and in float64.
    """
    return 6 * min(BLOCK_BYTES, 4 * sum(map(prod, shapes)))
