"""Distance to the nearest training images."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.kernels import squared_distances
from defectbench.scorers.layers import (
    Features,
    check_varied,
    number_of_images,
    reading_bytes,
    take_images,
)
from defectbench.scorers.linear_algebra import mean_image
from defectbench.scorers.matrices import as_matrix, matrix_blocks, one_layer
from defectbench.scorers.sizes import refuse_too_large

DISTANCES_BYTES = 1 << 26
"""Distances that are in memory at once."""


class NearestNeighbour(Scorer):
    """Mean Euclidean distance between an image's feature and its nearest in training.

    Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", 2020 (DN2).

    When to use it: on pooled vectors, as the baseline that every other detector has to beat. It
    has nothing to fit; it keeps all training features and compares every image with each.

    Parameters
    ----------
    neighbours
        Training images whose distances are averaged.

    Attributes
    ----------
    points_
        Training features, (n_images, n_dimensions); those that lie on disk stay there as they
        are, maps too, and are read in blocks.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8))
    >>> scorer = NearestNeighbour(neighbours=2).fit(X)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "neighbours": {"type": "integer", "minimum": 1}
    }
    fitted = ("points",)

    def __init__(self, *, neighbours: int = 1) -> None:
        self.neighbours = neighbours

    @property
    def fewest_images(self) -> int:
        """As many as are averaged, and two that can differ; see `Scorer`."""
        return max(2, self.neighbours)

    def fit(self, X: Features) -> Self:
        """Keep the training features; see `Scorer.fit`."""
        points = one_layer(X)
        refuse_too_large(self, X)
        check_varied(points)
        if len(points) < self.neighbours:
            raise InputError(
                f"neighbours: {self.neighbours} are asked for, there are {len(points)} training "
                "images"
            )
        in_memory = isinstance(points, np.ndarray)
        self.points_ = as_matrix(points) if in_memory else points
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Blocks of images and of points, and distances; see `Scorer.fit_bytes`."""
        distances = min(DISTANCES_BYTES, 8 * shapes[0][0] ** 2)
        return 4 * reading_bytes(shapes) // 3 + 4 * distances

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Mean distance to the nearest; see `Scorer.anomaly_score`."""
        return self._distances(X)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """Among the points of other folds; see `Scorer.held_out`."""
        rows, fold = np.concatenate(folds), np.full(number_of_images(X), -1)
        for number, members in enumerate(folds):
            fold[members] = number
        yield Judged(rows, self._distances(take_images(X, rows), fold[rows], fold), None)

    def _distances(
        self, X: Features, own: np.ndarray | None = None, fold: np.ndarray | None = None
    ) -> np.ndarray:
        """Mean distance to the nearest points, of other folds than an image's `own`, if given."""
        origin = mean_image(self.points_)
        found = []
        for images, block in matrix_blocks(X):
            nearest = np.full((len(block), self.neighbours), np.inf)
            for others, points in matrix_blocks(self.points_):
                step = max(1, DISTANCES_BYTES // (8 * len(points)))
                for start in range(0, len(block), step):
                    rows = slice(start, min(start + step, len(block)))
                    squared = squared_distances(block[rows], points, origin)
                    if own is not None:
                        squared[own[images][rows, None] == fold[others]] = np.inf
                    both = np.hstack([nearest[rows], squared])
                    both.partition(self.neighbours - 1, axis=1)
                    nearest[rows] = both[:, : self.neighbours]
            found.append(np.sqrt(nearest).mean(axis=1))
        return np.concatenate(found)
