"""Principal components of all images but some, from those of all of them.

Leaving images out takes their part from the scatter matrix, and no product of features is computed
again. Of fewer images than dimensions, everything happens among as many coordinates as there are
images.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.components import Spectrum, components_kept
from defectbench.scorers.downdate import downdated
from defectbench.scorers.layers import NO_VARIANCE, Layer
from defectbench.scorers.linear_algebra import SMALL, SUMS_BYTES, centred_blocks, eigh
from defectbench.scorers.matrices import matrix_blocks

INNER_FOLDS = 5
"""Of the images that give a layer's mean residual."""

ROWS = 1024
"""Images whose coordinates are in memory at once."""


class LeftOut(NamedTuple):
    """Principal components of the images that are left, in the coordinates of `Reduced`.

    Attributes
    ----------
    n_images
        That are left.
    mean
        float64, (n_coordinates,).
    values
        float64, (n_coordinates,), descending, none below 0: squared sums along the components.
    vectors
        float64, (n_coordinates, n_coordinates), a column for each value.
    rank
        Values that are more than rounding.
    """

    n_images: int
    mean: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    rank: int

    def kept(self, keep: int | float) -> int:
        """Number of components that are kept; see `components.principal_components`."""
        return components_kept(self.values, self.rank, keep, self.n_images)

    def project(self, coordinates: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """As `components.project`: coordinates on some components, squared norms."""
        centred = coordinates - self.mean
        return centred @ self.vectors[:, :count], np.einsum("ij,ij->i", centred, centred)

    def coordinates(self, reduced: "Reduced", rows: np.ndarray, count: int) -> np.ndarray:
        """Coordinates of some images on some components: float64, (n_rows, count)."""
        return np.concatenate([self.project(block, count)[0] for _, block in reduced.blocks(rows)])

    def squared_norms(self, reduced: "Reduced", rows: np.ndarray) -> np.ndarray:
        """Squared distance of some images from the mean: float64, (n_rows,)."""
        return np.concatenate([self.project(block, 0)[1] for _, block in reduced.blocks(rows)])

    def residual(self, coordinates: np.ndarray, count: int) -> np.ndarray:
        """What some components leave of images: float64, (n_images, n_coordinates)."""
        centred = coordinates - self.mean
        kept = self.vectors[:, :count]
        return centred - (centred @ kept) @ kept.T


Parts = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""The first four attributes of `LeftOut`."""


class Reduced:
    """Images in few coordinates that keep all their inner products, centred at their mean.

    Of n images of more dimensions, these are along their principal components, n at most; else
    they are the features themselves.

    Parameters
    ----------
    X
        One layer of the images.
    found
        Its spectrum.
    taken
        Gives the features of some images; by default, rows of `X`.
    """

    def __init__(
        self, X: Layer, found: Spectrum, taken: Callable[[np.ndarray], Layer] | None = None
    ) -> None:
        self._X, self._found, self._n_rows = X, found, len(X)
        self._taken = taken
        count = found.rank if found.wide else len(found.values)
        self._values, self._vectors = found.values[:count], found.vectors[:, :count]

    def __len__(self) -> int:
        return self._n_rows

    def _read(self, rows: np.ndarray) -> Layer:
        return self._taken(rows) if self._taken else self._X.take(rows, axis=0)

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Coordinates of some images, `ROWS` at a time: float64, (n_rows, n_coordinates)."""
        layer = None if self._found.wide else self._read(rows)
        count = len(rows) if layer is None else len(layer)
        for start in range(0, count, ROWS):
            own = slice(start, min(start + ROWS, count))
            if layer is None:
                yield own, self._vectors[rows[own]] * np.sqrt(self._values)
            else:
                yield own, layer[own].reshape(own.stop - start, -1) - self._found.mean

    def without(self, rows: np.ndarray) -> LeftOut:
        """Principal components of all images but some.

        Raises
        ------
        InputError
            If those that are left are constant.
        """
        left, mean, values, vectors = self._without_one(rows) or self._without_many(rows)
        # the images were centred elsewhere: what is subtracted leaves rounding of their size
        noise = np.finfo(np.float64).eps * len(values) * self._found.values[0]
        rank = min(int((values > noise).sum()), left - 1)
        if rank <= 0:
            raise InputError(NO_VARIANCE)
        return LeftOut(left, mean, values, vectors, rank)

    def _without_one(self, rows: np.ndarray) -> Parts | None:
        """Of one image, by the part that it has in the spectrum; None where that does not do."""
        if len(rows) > 1 or self._taken or len(self._values) > SMALL:  # it takes more memory
            return None
        ((_, image),) = self.blocks(rows)
        left = self._n_rows - 1
        row = image[0] if self._found.wide else image[0] @ self._vectors
        changed = downdated(self._values, row * (self._n_rows / left) ** 0.5)
        if changed is None:
            return None
        values, vectors = changed
        if not self._found.wide:
            vectors = self._vectors @ vectors
        return left, -image[0] / left, values, vectors

    def _without_many(self, rows: np.ndarray) -> Parts:
        if self._found.wide:
            scatter = np.diag(self._values)
        else:
            scatter = (self._vectors * self._values) @ self._vectors.T
        left, total = self._n_rows, np.zeros(len(scatter))
        for _, block in self.blocks(rows):
            _subtract_products(scatter, block)
            total += block.sum(axis=0)
            left -= len(block)
        mean = -total / left  # that of all images is 0
        _subtract_products(scatter, left**0.5 * mean[None])
        return left, mean, *eigh(scatter)

    @property
    def at_once(self) -> int:
        """Images whose features are made of coordinates at once."""
        return max(1, SUMS_BYTES // (8 * len(self._found.mean)))

    def features(self, coordinates: np.ndarray) -> np.ndarray:
        """Features of differences that are given in coordinates: float64, (n, n_dimensions)."""
        if not self._found.wide:
            return coordinates
        # the component of an eigenvector u of X Xᵀ is Xᵀ u / √λ
        weights = (coordinates / np.sqrt(self._values)) @ self._vectors.T
        found = np.zeros((len(coordinates), len(self._found.mean)))
        for images, block in matrix_blocks(self._X):
            for columns, centred in centred_blocks(block, self._found.mean):
                found[:, columns] += weights[:, images] @ centred
        return found


def _subtract_products(scatter: np.ndarray, block: np.ndarray) -> None:
    """Take a block's part from a scatter matrix, without a product of the same size."""
    step = max(1, SUMS_BYTES // 2 // (8 * len(scatter)))
    for first in range(0, len(scatter), step):
        rows = slice(first, first + step)
        scatter[rows] -= block[:, rows].T @ block


Residuals = tuple[np.ndarray, list[np.ndarray]]
"""Rows of some images, and in coordinates what components leave of them, of each layer."""


def residual_bytes(n_images: int, n_dimensions: int) -> int:
    """Memory for features of residuals of `joined` images, their parts and squares, in bytes."""
    return 3 * min(2 * SUMS_BYTES, 8 * n_images * n_dimensions)


def left_out_residuals(
    reduced: Sequence[Reduced],
    positions: Sequence[int],
    folds: Sequence[np.ndarray],
    share: float,
) -> Iterator[Residuals]:
    """Residuals of each fold's images by the components of all others.

    Those of several layers are weighted, so that their squares add up to the map.

    Parameters
    ----------
    reduced, positions
        The images, and places of a map, of each layer.
    folds
        Rows of each fold.
    share
        Of the variance that the components keep.
    """
    for members in folds:
        left = [each.without(members) for each in reduced]
        counts = [each.kept(share) for each in left]
        weights = [1.0]
        if len(reduced) > 1:
            means = [held_out_mean(each, share, members) for each in reduced]
            weights = [
                (places / (mean * len(reduced))) ** 0.5
                for places, mean in zip(positions, means, strict=True)
            ]
        blocks = zip(*(each.blocks(members) for each in reduced), strict=True)
        for layers in blocks:
            found = [
                weight * each.residual(coordinates, count)
                for weight, each, (_, coordinates), count in zip(
                    weights, left, layers, counts, strict=True
                )
            ]
            yield members[layers[0][0]], found


def joined(residuals: Iterator[Residuals], count: int) -> Iterator[Residuals]:
    """The same, of at least so many images at once as long as there are any."""
    waiting: list[Residuals] = []
    for each in residuals:
        waiting.append(each)
        if sum(len(rows) for rows, _ in waiting) >= count:
            yield _concatenated(waiting)
            waiting = []
    if waiting:
        yield _concatenated(waiting)


def _concatenated(parts: Sequence[Residuals]) -> Residuals:
    rows, residuals = zip(*parts, strict=True)
    return np.concatenate(rows), [np.concatenate(layer) for layer in zip(*residuals, strict=True)]


def held_out_mean(
    reduced: Reduced, share: float, outside: Sequence[int] | np.ndarray = ()
) -> float:
    """Mean squared residual of images that were held out in turn, runs of neighbours together.

    Parameters
    ----------
    reduced
        The images.
    share
        Of the variance that the components keep.
    outside
        Rows of images that are left out altogether.

    Returns
    -------
    float
        Squared units of the features, summed over all dimensions.

    Raises
    ------
    InputError
        If there are fewer than three images.
    """
    images = np.setdiff1d(np.arange(len(reduced)), np.asarray(outside, int))
    if len(images) < 3:
        raise InputError(
            f"several layers need 3 training images, there are {len(images)}; add some"
        )
    error = 0.0
    for members in np.array_split(images, min(INNER_FOLDS, len(images))):
        left = reduced.without(np.concatenate([np.asarray(outside, int), members]))
        count = left.kept(share)
        for _, block in reduced.blocks(members):
            error += (left.residual(block, count) ** 2).sum()
    return float(error) / len(images)
