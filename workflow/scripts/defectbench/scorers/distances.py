"""Distances between images' features."""

import numpy as np

BLOCK = 4096
"""Dimensions handled at once in float64."""


def squared_distances(X: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of every row of `X` to every one of `points`.

    Parameters
    ----------
    X
        (n_images, n_dimensions).
    points
        (n_points, n_dimensions).

    Returns
    -------
    ndarray
        float64, (n_images, n_points). Both are centred first, lest a large mean drown small
        distances in rounding.
    """
    squared = np.zeros((len(X), len(points)))
    for start in range(0, X.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        origin = points[:, columns].mean(axis=0, dtype=np.float64)
        x, y = X[:, columns] - origin, points[:, columns] - origin
        squared += (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squared, 0)
