"""Features of images that cover a part of their canvas, for scorers that compare places.

A feature file repeats the image's nearest position wherever the canvas goes on beyond the image,
which adds nothing new for scorers that look at patches whatever their place. One that compares each
place with itself would find an image's border where it does not belong: there such a place gets the
mean of the training images that cover all of the canvas.
"""

from collections.abc import Sequence
from math import ceil
from typing import Self

import numpy as np

from defectbench.images.canvas import Preprocessing, Shape, canvas, covers, part, place
from defectbench.images.index import IndexRow
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features, Layer, image_blocks, take_images

Part = tuple[slice, slice]
"""Rows and columns of a feature map."""


class Covered:
    """A `Layer` of images some of which cover a part of the canvas.

    Parameters
    ----------
    layer
        As stored: (n_images, channels, height, width).
    parts
        Of each image: what it covers; None for everything.
    rest
        float32, (channels, height, width): what it is given beyond that.
    """

    def __init__(self, layer: Layer, parts: Sequence[Part | None], rest: np.ndarray) -> None:
        self._layer, self._parts, self._rest = layer, parts, rest
        self.shape, self.dtype, self.ndim = layer.shape, layer.dtype, layer.ndim

    def __len__(self) -> int:
        return len(self._layer)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Features of consecutive images."""
        found = np.array(self._layer[rows])
        for image, covered in zip(found, self._parts[rows], strict=True):
            if covered is not None:
                own = image[:, *covered].copy()
                image[:] = self._rest
                image[:, *covered] = own
        return found

    def take(self, rows: np.ndarray, axis: int = 0) -> Self:
        """The layer of some images, by row numbers."""
        parts = [self._parts[row] for row in rows]
        return type(self)(self._layer.take(rows, axis=axis), parts, self._rest)


def without_padding(
    X: Features, index: Sequence[IndexRow], preprocessing: Preprocessing, scorer: type[Scorer]
) -> Features:
    """Features in which nothing is compared that lies beyond an image.

    Parameters
    ----------
    X
        Of the images of the index, as stored.
    index
        Of the category.
    preprocessing
        From `images.canvas.with_canvas`; empty for features made elsewhere.
    scorer
        Their reader.
    """
    sizes = [(row.height, row.width) for row in index]
    if not preprocessing or all(covers(preprocessing, *size) for size in sizes):
        return X
    if scorer.position_free:
        return X
    whole = [
        row.split == "train" and covers(preprocessing, *size)
        for row, size in zip(index, sizes, strict=True)
    ]
    layers = X if isinstance(X, list) else [X]
    found = [
        _covered(layer, sizes, whole, preprocessing) if layer.ndim == 4 else layer
        for layer in layers
    ]
    return found if isinstance(X, list) else found[0]


def _covered(
    layer: Layer, sizes: Sequence[Shape], whole: Sequence[bool], preprocessing: Preprocessing
) -> Covered:
    rest = np.zeros(layer.shape[1:])
    for _, (block,) in image_blocks(take_images(layer, list(whole))):
        rest += block.sum(axis=0, dtype=np.float64)
    rest = (rest / max(1, sum(whole))).astype(np.float32)
    parts = [
        None if covers(preprocessing, *size) else _part_of_map(size, layer.shape[2:], preprocessing)
        for size in sizes
    ]
    return Covered(layer, parts, rest)


def _part_of_map(size: Shape, grid: Shape, preprocessing: Preprocessing) -> Part:
    top, left, height, width = place(preprocessing, part(preprocessing, *size))
    rows, columns = (
        slice(start * length // side, ceil((start + own) * length / side))
        for start, own, length, side in zip(
            (top, left), (height, width), grid, canvas(preprocessing), strict=True
        )
    )
    return rows, columns
