"""Patches of all images as one matrix, made block by block."""

import copy
from collections.abc import Sequence
from math import prod
from typing import Self

import numpy as np

from defectbench.memory import BLOCK_BYTES
from defectbench.scorers.grids import finest_grid, patch_features
from defectbench.scorers.layers import Layer, read_images, take_images
from defectbench.scorers.matrices import matrix_blocks

KEPT_BYTES = 1 << 30
"""Of patches that are made once for all folds; more of them are made again for each."""


class Patches:
    """Patches as rows, image by image; made by `grids.patch_features` when a slice is read.

    A `Layer` of vectors, (n_images × positions, channels), but for `take`; see `of_images`.

    Parameters
    ----------
    layers
        Feature maps.
    neighbourhood
        Whether each layer is first averaged over 3×3 neighbourhoods.
    drawn
        Number of positions that are drawn of each image; by default all are taken.
    seed
        Of the draw, in which each image has its own positions.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        neighbourhood: bool = False,
        drawn: int | None = None,
        seed: int = 0,
    ) -> None:
        self._layers, self._neighbourhood = layers, neighbourhood
        self._all, self._seed = prod(finest_grid(layers)), seed
        self._positions = self._all if drawn is None else drawn
        n_patches, channels = patches_shape([layer.shape for layer in layers])
        self.shape = (n_patches // self._all * self._positions, channels)
        self._images = np.arange(len(layers[0]))
        self._made: np.ndarray | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Consecutive patches: float32, (n_patches, channels)."""
        start, stop, _ = rows.indices(len(self))
        first = start // self._positions
        patches = self._of(slice(first, -(-stop // self._positions)))
        offset = first * self._positions
        return patches.reshape(-1, self.shape[1])[start - offset : stop - offset]

    def _of(self, images: slice) -> np.ndarray:
        """Patches of consecutive images: float32, (n_images, …, channels)."""
        if self._made is not None:
            return self._made[self._images[images]]
        parts = read_images(self._layers, images)
        patches = patch_features(parts, neighbourhood=self._neighbourhood)
        if self._positions == self._all:
            return patches
        return np.stack(
            [
                image.reshape(self._all, -1)[self._drawn(number)]
                for image, number in zip(patches, self._images[images], strict=True)
            ]
        )

    def _drawn(self, image: int) -> np.ndarray:
        """Positions of an image that are drawn, ascending."""
        rng = np.random.default_rng([self._seed, int(image)])
        return np.sort(rng.choice(self._all, self._positions, replace=False))

    def keep(self) -> None:
        """Make all patches now, if they are at most `KEPT_BYTES`: they are read several times."""
        if kept_bytes(self.shape):
            made = np.empty(self.shape, np.float32)
            for rows, block in matrix_blocks(self):
                made[rows] = block
            self._made = made.reshape(len(self._images), -1, self.shape[1])

    def of_images(self, images: np.ndarray) -> Self:
        """Patches of some images, by row numbers; nothing is read yet."""
        if np.array_equal(images, np.arange(len(self._images))):
            return self  # arrays of all images would be copied
        part = copy.copy(self)
        part.shape = (len(images) * self._positions, self.shape[1])
        part._images = self._images[images]
        if self._made is None:
            part._layers = take_images(self._layers, images)
        return part


def kept_bytes(shape: tuple[int, int]) -> int:
    """Memory for patches that are kept, of so many rows and channels; 0 if they are not."""
    needed = 4 * prod(shape)
    return needed if needed <= KEPT_BYTES else 0


def patches_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """Number of patches and of their channels, from the shapes of the layers."""
    positions = max(prod(shape[2:]) for shape in shapes)
    return shapes[0][0] * positions, sum(shape[1] for shape in shapes)


def patching_bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    """Memory for the maps that two blocks of patches are made of, in bytes."""
    return 2 * min(BLOCK_BYTES, 4 * sum(map(prod, shapes)))
