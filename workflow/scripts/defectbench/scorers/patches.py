"""Patches of all images as one matrix, made block by block."""

from collections.abc import Sequence
from math import prod

import numpy as np

from defectbench.memory import BLOCK_BYTES
from defectbench.scorers.grids import finest_grid, patch_features
from defectbench.scorers.layers import Layer, read_images


class Patches:
    """Patches as rows, image by image; made by `grids.patch_features` when a slice is read.

    A `Layer` of vectors, (n_images × positions, channels), but for `take`.

    Parameters
    ----------
    layers
        Feature maps.
    neighbourhood
        Whether each layer is first averaged over 3×3 neighbourhoods.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, layers: Sequence[Layer], *, neighbourhood: bool = False) -> None:
        self._layers, self._neighbourhood = layers, neighbourhood
        self._positions = prod(finest_grid(layers))
        self.shape = patches_shape([layer.shape for layer in layers])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Consecutive patches: float32, (n_patches, channels)."""
        start, stop, _ = rows.indices(len(self))
        first = start // self._positions
        parts = read_images(self._layers, slice(first, -(-stop // self._positions)))
        patches = patch_features(parts, neighbourhood=self._neighbourhood)
        offset = first * self._positions
        return patches.reshape(-1, self.shape[1])[start - offset : stop - offset]


def patches_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """Number of patches and of their channels, from the shapes of the layers."""
    positions = max(prod(shape[2:]) for shape in shapes)
    return shapes[0][0] * positions, sum(shape[1] for shape in shapes)


def patching_bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    """Memory for the maps that two blocks of patches are made of, in bytes."""
    return 2 * min(BLOCK_BYTES, 4 * sum(map(prod, shapes)))
