"""Distance to the nearest training images."""

from collections.abc import Iterable, Iterator, Sequence
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

Squared = tuple[slice, slice, np.ndarray]
"""Images, points, and the squared distances between them."""

DISTANCES_BYTES = 1 << 26
"""Distances that are in memory at once."""

KEPT_BYTES = 1 << 28
"""Distances between training images that are kept for further folds; larger ones are made anew."""


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

    def fewest_images(self, n_layers: int = 1) -> int:
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
        self._squared: np.ndarray | None = None  # among the points, once they are asked for
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Blocks of images and of points, and distances; see `Scorer.fit_bytes`."""
        squared = 8 * shapes[0][0] ** 2
        kept = min(KEPT_BYTES, squared)
        return 4 * reading_bytes(shapes) // 3 + 4 * min(DISTANCES_BYTES, squared) + kept

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Mean distance to the nearest; see `Scorer.anomaly_score`."""
        return self._mean_nearest(number_of_images(X), self._squared_distances(X))

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """Among the points of other folds; see `Scorer.held_out`."""
        fold = np.full(number_of_images(X), -1)
        for number, members in enumerate(folds):
            fold[members] = number
        rows = np.concatenate(folds)

        def of_others(found: Squared) -> Squared:
            images, others, squared = found
            same = fold[rows[images], None] == fold[others]
            return images, others, np.where(same, np.inf, squared)

        squared = map(of_others, self._among_points(X, rows))
        yield Judged(rows, self._mean_nearest(len(rows), squared), None)

    def _mean_nearest(self, count: int, found: Iterable[Squared]) -> np.ndarray:
        """Mean distance of so many images to their nearest points: float64, (count,)."""
        nearest = np.full((count, self.neighbours), np.inf)
        for images, _, squared in found:
            both = np.hstack([nearest[images], squared])
            both.partition(self.neighbours - 1, axis=1)
            nearest[images] = both[:, : self.neighbours]
        return np.sqrt(nearest).mean(axis=1)

    def _squared_distances(self, X: Features) -> Iterator[Squared]:
        """Squared distances of images to all points, some of either at a time."""
        origin = mean_image(self.points_)
        for images, block in matrix_blocks(X):
            for others, points in matrix_blocks(self.points_):
                step = max(1, DISTANCES_BYTES // (8 * len(points)))
                for start in range(0, len(block), step):
                    own = block[start : start + step]
                    first = images.start + start
                    squared = squared_distances(own, points, origin)
                    yield slice(first, first + len(own)), others, squared

    def _among_points(self, X: Features, rows: np.ndarray) -> Iterator[Squared]:
        """The same of training images; computed once for all folds where they can be kept."""
        count = number_of_images(X)
        if 8 * count**2 > KEPT_BYTES:
            yield from self._squared_distances(take_images(X, rows))
            return
        if self._squared is None:
            self._squared = np.empty((count, count))
            for images, others, squared in self._squared_distances(X):
                self._squared[images, others] = squared
        step = max(1, DISTANCES_BYTES // (8 * count))
        for start in range(0, len(rows), step):
            own = slice(start, min(start + step, len(rows)))
            yield own, slice(0, count), self._squared[rows[own]]
