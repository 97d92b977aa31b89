"""Distance to the nearest training images."""

from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Features, Scorer, check_varied
from defectbench.scorers.linear_algebra import squared_distances
from defectbench.scorers.matrices import as_matrix


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
        Training features, (n_images, n_dimensions).

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
        points = as_matrix(X)
        check_varied([points])
        if len(points) < self.neighbours:
            raise InputError(
                f"neighbours: {self.neighbours} are asked for, there are {len(points)} training "
                "images"
            )
        self.points_ = points
        return self

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Mean distance to the nearest; see `Scorer.anomaly_score`."""
        squared = squared_distances(as_matrix(X), self.points_)
        nearest = np.partition(squared, self.neighbours - 1, axis=1)[:, : self.neighbours]
        return np.sqrt(nearest).mean(axis=1)
