"""PaDiM: one Gaussian per position of the image."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.base import Judged, Scorer, maps_at_once
from defectbench.scorers.grids import finest_grid, smooth_maps
from defectbench.scorers.layers import (
    Features,
    Layer,
    check_varied,
    image_blocks,
    in_one_block,
    map_list,
    reading_bytes,
)

SUMS_BYTES = 1 << 28
"""Covariances that are summed over blocks of images at once, in float64."""


class Padim(Scorer):
    """Mahalanobis distance of each position's features to a Gaussian fitted at that position.

    The layers are brought to the finest grid by repeating values, and some of their channels are
    kept at random. The distances are brought to `map_size` bilinearly and blurred; the image
    score is the map's maximum. Defard, Setkov, Loesch, Audigier, "PaDiM: a Patch Distribution
    Modeling Framework for Anomaly Detection and Localization", ICPR 2021.

    When to use it: for parts that lie alike in every image, since every position is compared with
    itself alone. It costs one covariance per position, and the model is large: 4 bytes × positions
    × channels² (164 MB for 64×64 positions and 100 channels).

    Parameters
    ----------
    channels
        Channels kept of all layers together (published: 100 for ResNet-18, 550 for Wide
        ResNet-50-2); all of them if there are fewer.
    regularisation
        Added to each variance.
    map_size
        Longer side of the anomaly map, which is no coarser than the finest layer's grid.
    seed
        Of the choice of channels.

    Attributes
    ----------
    channels_
        int64, (n_channels,): kept ones of the layers' concatenated channels.
    mean_
        float32, (height, width, n_channels).
    whitening_
        float32, (height, width, n_channels, n_channels): inverse of each covariance's lower
        Cholesky factor.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 6, 4, 4)).astype(np.float32)
    >>> scorer = Padim(channels=3, map_size=8).fit(X)
    >>> scorer.anomaly_map(X).shape
    (50, 8, 8)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "channels": {"type": "integer", "minimum": 1},
        "regularisation": {"type": "number", "exclusiveMinimum": 0},
        "map_size": {"type": "integer", "minimum": 1},
    }
    fitted = ("channels", "mean", "whitening")
    localizes = True
    draws = True

    def __init__(
        self,
        *,
        channels: int = 100,
        regularisation: float = 0.01,
        map_size: int = 256,
        seed: int = 42,
    ) -> None:
        self.channels = channels
        self.regularisation = regularisation
        self.map_size = map_size
        self.seed = seed

    def fit(self, X: Features) -> Self:
        """Choose channels and learn the Gaussians; see `Scorer.fit`."""
        total = sum(layer.shape[1] for layer in map_list(X))
        order = np.random.default_rng(self.seed).permutation(total)
        return self.fit_on_channels(X, np.sort(order[: self.channels]))

    def fit_on_channels(self, X: Features, channels: np.ndarray) -> Self:
        """Learn the Gaussians of given channels.

        Parameters
        ----------
        X
            Features of the training images.
        channels
            Integers, numbers among the layers' concatenated channels.
        """
        layers = map_list(X)
        needed = self._needed_bytes([layer.shape for layer in layers], len(channels))
        refuse_beyond_memory(needed, "keep fewer channels, or read a coarser layer")
        check_varied(layers)
        (height, width), size = finest_grid(layers), len(channels)
        self.channels_ = np.asarray(channels)
        self.mean_ = np.empty((height, width, size), np.float32)
        self.whitening_ = np.empty((height, width, size, size), np.float32)
        # of one block a row at a time will do; many are read from disk again for each group
        step = 1 if in_one_block(layers) else max(1, SUMS_BYTES // (8 * width * size**2))
        for first in range(0, height, step):
            rows = range(first, min(first + step, height))
            mean, covariance = moments(layers, self.channels_, rows)
            self.mean_[rows] = mean
            covariance += self.regularisation * np.eye(size)
            self.whitening_[rows] = np.linalg.inv(np.linalg.cholesky(covariance))
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Two models, and covariances of some rows; see `Scorer.fit_bytes`."""
        return self._needed_bytes(shapes, min(self.channels, sum(shape[1] for shape in shapes)))

    @staticmethod
    def _needed_bytes(shapes: Sequence[tuple[int, ...]], size: int) -> int:
        n_images, positions = shapes[0][0], max(prod(shape[2:]) for shape in shapes)
        model = 4 * positions * size**2
        sums = max(3 * min(SUMS_BYTES, 2 * model), min(SUMS_BYTES, 4 * n_images * positions * size))
        return 2 * model + sums + 4 * n_images * positions + reading_bytes(shapes)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the covariances of all images; see `Scorer.held_out`."""
        layers = map_list(X)
        distances = left_out_distances(layers, self.channels_, folds, self.regularisation)
        step = maps_at_once(self, [layer.shape[1:] for layer in layers])
        for members in folds:
            for start in range(0, len(members), step):
                rows = members[start : start + step]
                found = smooth_maps(distances[rows], self.map_size)
                yield Judged(rows, found.max(axis=(1, 2)).astype(np.float64), found)

    def distances(self, X: Features) -> np.ndarray:
        """Mahalanobis distance at each position: float32, (n_images, height, width)."""
        layers = map_list(X)
        height, width, _ = self.mean_.shape
        found = np.empty((len(layers[0]), height, width), np.float32)
        for images, parts in image_blocks(layers):
            for row in range(height):
                centred = row_features(parts, self.channels_, row) - self.mean_[row][:, None]
                whitened = centred @ self.whitening_[row].transpose(0, 2, 1)
                found[images, row] = np.sqrt((whitened**2).sum(axis=2)).T
        return found

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Distances on a finer grid, smoothed; see `Scorer.anomaly_map`."""
        return smooth_maps(self.distances(X), self.map_size)

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Maximum of the anomaly map; see `Scorer.anomaly_score`."""
        maxima = [smooth_maps(image[None], self.map_size).max() for image in self.distances(X)]
        return np.array(maxima, np.float64)

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both from one map; see `Scorer.score_and_map`."""
        maps = self.anomaly_map(X)
        return maps.max(axis=(1, 2)).astype(np.float64), maps


def moments(
    layers: list[Layer], channels: np.ndarray, rows: range
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance at each position of some rows of the finest grid, in float64."""
    n_images, (_, width), size = len(layers[0]), finest_grid(layers), len(channels)
    mean = np.zeros((len(rows), width, size))
    for _, parts in image_blocks(layers):
        for place, row in enumerate(rows):
            mean[place] += row_features(parts, channels, row).sum(axis=1, dtype=np.float64)
    mean /= n_images
    covariance = np.zeros((len(rows), width, size, size))
    for _, parts in image_blocks(layers):
        for place, row in enumerate(rows):
            centred = row_features(parts, channels, row) - mean[place][:, None]
            covariance[place] += centred.transpose(0, 2, 1) @ centred
    covariance /= n_images - 1
    return mean, covariance


def row_features(layers: list[np.ndarray], channels: np.ndarray, row: int) -> np.ndarray:
    """Kept channels of one row of the finest grid: (width, n_images, n_channels)."""
    height, width = finest_grid(layers)
    parts = np.empty((width, len(layers[0]), len(channels)), np.float32)
    first = 0
    for layer in layers:
        count, rows, columns = layer.shape[1:]
        here = (channels >= first) & (channels < first + count)
        line = layer[:, channels[here] - first, row * rows // height]
        parts[:, :, here] = line[:, :, np.arange(width) * columns // width].transpose(2, 0, 1)
        first += count
    return parts


def left_out_distances(
    layers: list[Layer], channels: np.ndarray, folds: Sequence[np.ndarray], regularisation: float
) -> np.ndarray:
    """Distance of each image at each position to the Gaussian of the images of other folds.

    Parameters
    ----------
    layers
        Feature maps of the images.
    channels
        Kept ones.
    folds
        Rows of each fold, each row once at most.
    regularisation
        Added to each variance.

    Returns
    -------
    ndarray
        float32, (n_images, height, width).
    """
    n_images, (height, width) = len(layers[0]), finest_grid(layers)
    found = np.empty((n_images, height, width), np.float32)
    row_bytes = 4 * n_images * width * len(channels)
    step = max(1, SUMS_BYTES // row_bytes)
    for first in range(0, height, step):
        rows = range(first, min(first + step, height))
        features = np.empty((len(rows), width, n_images, len(channels)), np.float32)
        for images, parts in image_blocks(layers):
            for place, row in enumerate(rows):
                features[place, :, images] = row_features(parts, channels, row)
        for row, own in zip(rows, features, strict=True):
            for position, places in enumerate(own):
                found[:, row, position] = gaussian_distances(places, folds, regularisation)
    return found


def gaussian_distances(
    X: np.ndarray, folds: Sequence[np.ndarray], regularisation: float
) -> np.ndarray:
    """Mahalanobis distance of each row to mean and covariance of the rows of other folds.

    With the scatter A of all n rows about their mean, the rows Y of a fold about it, m rows that
    are left and B = A + ε (m - 1) I, the squared distances of a fold are those diagonal entries of
    (m - 1) (T⁻¹ - (1 + 1/m) I), T = I - 1/n - Y B⁻¹ Yᵀ: Woodbury's identity for what the fold takes
    from A, mean included. So one matrix B serves all folds of a size. A fold of more rows than
    columns is subtracted instead.

    Parameters
    ----------
    X
        (n_rows, n_columns).
    folds
        Rows of each fold, each row once at most.
    regularisation
        ε, added to each variance.

    Returns
    -------
    ndarray
        float64, (n_rows,).
    """
    centred = X - X.mean(axis=0, dtype=np.float64)
    n_rows, n_columns = centred.shape
    scatter, eye = centred.T @ centred, np.eye(n_columns)
    squared = np.empty(n_rows)
    whitened: dict[int, np.ndarray] = {}
    for members in folds:
        own, left = centred[members], n_rows - len(members)
        ridge = regularisation * (left - 1) * eye
        if len(members) > n_columns:
            mean = -own.sum(axis=0) / left
            rest = scatter - own.T @ own - left * np.outer(mean, mean)
            factor = np.linalg.inv(np.linalg.cholesky(rest + ridge))
            squared[members] = (left - 1) * (((own - mean) @ factor.T) ** 2).sum(axis=1)
            continue
        if left not in whitened:
            factor = np.linalg.inv(np.linalg.cholesky(scatter + ridge))
            whitened[left] = centred @ factor.T
        taken = whitened[left][members]
        inner = np.eye(len(members)) - 1 / n_rows - taken @ taken.T
        squared[members] = (left - 1) * (np.linalg.inv(inner).diagonal() - 1 - 1 / left)
    return np.sqrt(np.maximum(squared, 0))
