"""Patches that PatchCore keeps: a selection of all images, or the union of several selections."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, Self

import numpy as np

from defectbench.memory import memory_limit
from defectbench.scorers.coreset import (
    CANDIDATES,
    greedy_k_centres,
    projected_dimensions,
    random_projection,
)
from defectbench.scorers.layers import Layer, reading_bytes
from defectbench.scorers.matrices import matrix_blocks
from defectbench.scorers.patches import Patches, kept_bytes, patches_shape, patching_bytes

ROWS = 2048
"""Patches compared with the memory at once."""

FEWEST_DRAWN = 64
"""Positions of an image that are drawn at least, where the memory has no room for all."""


class PatchMemory:
    """Patches that are kept of each part of the images; together they are the memory.

    Parameters
    ----------
    layers
        Feature maps of all images. If their patches are few enough, they stay in memory for the
        selections to come.
    parts
        Rows of the images that each selection is made from; together every row once.
    share, seed
        As of `select_patches`.
    drawn
        Positions that are drawn of each image; None for all.

    Attributes
    ----------
    rows
        float32, (n_kept, channels): the first of each selection, then the second, and so on.
    """

    def __init__(
        self,
        layers: list[Layer],
        parts: Sequence[np.ndarray],
        share: float,
        seed: int,
        drawn: int | None = None,
    ) -> None:
        self._parts, self._share, self._seed = parts, share, seed
        self._patches = Patches(layers, neighbourhood=True, drawn=drawn, seed=seed)
        self._patches.keep()
        self.rows, self._numbers = interleaved([self._select(part) for part in parts])

    def without(self, images: np.ndarray) -> np.ndarray:
        """The memory of all images but some: float32, (n_kept, channels), in the same order.

        What was selected from a part that loses no image stays as it is; from what is left of
        another is selected again.
        """
        selections = []
        for number, part in enumerate(self._parts):
            left = np.setdiff1d(part, images)
            if len(left) == len(part):
                selections.append(self.rows[self._numbers == number])
            elif len(left):
                selections.append(self._select(left))
        return interleaved(selections)[0]

    def _select(self, images: np.ndarray) -> np.ndarray:
        return select_patches(self._patches.of_images(images), self._share, self._seed)


def select_patches(patches: Patches, share: float, seed: int) -> np.ndarray:
    """Patches that a greedy k-centre selection on a random projection keeps.

    Parameters
    ----------
    patches
        Of the images.
    share
        Of the patches that is kept; one of them at least.
    seed
        Of the projection and the first kept patch.

    Returns
    -------
    ndarray
        float32, (n_kept, channels), in order of selection.
    """
    n_patches, channels = patches.shape
    if share == 1:
        return patches[:]
    reduced = projected(patches, seed)
    start = int(np.random.default_rng(seed).integers(n_patches))
    chosen = greedy_k_centres(reduced, number_kept(n_patches, share), start)
    del reduced  # the kept patches are read again: both would be in memory together
    kept = np.empty((len(chosen), channels), np.float32)
    for rows, block in matrix_blocks(patches):
        here = np.flatnonzero((chosen >= rows.start) & (chosen < rows.stop))
        kept[here] = block[chosen[here] - rows.start]
    return kept


def projected(patches: Patches, seed: int) -> np.ndarray:
    """Patches on a random projection, or as they are where that saves nothing: float32."""
    n_patches, channels = patches.shape
    projection = random_projection(channels, n_patches, seed)
    dimensions = channels if projection is None else len(projection)
    reduced = np.empty((n_patches, dimensions), np.float32)
    for rows, block in matrix_blocks(patches):
        reduced[rows] = block if projection is None else block @ projection.T
    return reduced


def number_kept(n_patches: int, share: float) -> int:
    """Patches that a selection keeps."""
    return max(1, int(share * n_patches))


class Needed(NamedTuple):
    """What a PatchCore of some maps needs.

    Attributes
    ----------
    shapes
        Of the layers.
    share
        Of the patches that is kept.
    union
        Whether the memory is a union of selections.
    most
        Images that a selection is made from, at most.
    drawn
        Positions that are drawn of each image; None for all.
    """

    shapes: Sequence[tuple[int, ...]]
    share: float
    union: bool
    most: int
    drawn: int | None = None

    @property
    def positions(self) -> int:
        """Patches of an image."""
        return max(prod(shape[2:]) for shape in self.shapes)

    def that_fits(self) -> Self:
        """The same of half the positions, a quarter, …, where the memory has no room for all."""
        needed, drawn = self, self.positions
        while needed.bytes() > memory_limit() and drawn >= 2 * FEWEST_DRAWN:
            drawn //= 2
            needed = self._replace(drawn=drawn)
        return needed

    def bytes(self) -> int:
        """Memory for a selection and for memories."""
        n_images, (_, channels) = self.shapes[0][0], patches_shape(self.shapes)
        taken = self.drawn or self.positions
        n_patches = n_images * taken
        kept = number_kept(n_patches, self.share)
        if self.union:
            kept += n_images  # one of each fold at least
        selection = _selection_bytes(self.most * taken, channels, kept)
        memories = 4 * 5 * kept * channels  # two, and one centred and transposed to search in
        blocks = patching_bytes(self.shapes) + reading_bytes(self.shapes)
        blocks += kept_bytes((n_patches, channels))
        return max(selection, 4 * ROWS * kept) + memories + blocks


def _selection_bytes(n_patches: int, channels: int, kept: int) -> int:
    """Memory for a selection beside the kept patches: all of them once, projected if that saves."""
    dimensions = min(channels, projected_dimensions(n_patches))
    return 4 * (dimensions * (n_patches + CANDIDATES) + 5 * n_patches + kept * dimensions)


def interleaved(selections: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The union of selections: their first rows, then their second ones, and so on.

    What was selected first differs most, and the search for the farthest patch is quick if that
    comes first. Without one of the selections the others come in the same order.

    Parameters
    ----------
    selections
        float32, (n_kept, channels) each.

    Returns
    -------
    rows : ndarray
        float32, (n_rows, channels).
    numbers : ndarray
        int64, (n_rows,): the selection that each row is of.
    """
    sizes = [len(selection) for selection in selections]
    places = np.concatenate([np.arange(size) for size in sizes])
    numbers = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(places, kind="stable")]
    rows = np.empty((len(numbers), selections[0].shape[1]), np.float32)
    for number, selection in enumerate(selections):
        rows[numbers == number] = selection
    return rows, numbers
