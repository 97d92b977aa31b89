"""Greedy k-centre selection, and the random projection it is made on."""

from math import log

import numpy as np

from defectbench.progress import Progress

CANDIDATES = 4096
"""Points among which the next choices are made; their features fit a processor's cache."""

SEARCH_BYTES = 1 << 28
"""Memory for the points that are compared at once."""

CHOSEN = -1.0
"""Bound of a chosen point: below every distance, so that it is never chosen again."""

PROJECTION_ERROR = 0.9
"""Relative error of distances that the projection's size is chosen for (as published)."""


def random_projection(dimensions: int, n_points: int, seed: int) -> np.ndarray:
    """Sparse random matrix that nearly keeps the distances between points.

    Parameters
    ----------
    dimensions
        Of the points.
    n_points
        Number of points; more of them need more dimensions (Johnson and Lindenstrauss).
    seed
        Of the matrix.

    Returns
    -------
    ndarray
        float32, (reduced_dimensions, dimensions); the identity where nothing would be saved.
    """
    from sklearn.random_projection import SparseRandomProjection  # not to check a config: 1 s

    reduced = projected_dimensions(n_points)
    if reduced >= dimensions:
        return np.eye(dimensions, dtype=np.float32)
    projection = SparseRandomProjection(reduced, random_state=seed)
    projection.fit(np.zeros((1, dimensions), np.float32))
    return projection.components_.toarray().astype(np.float32)


def projected_dimensions(n_points: int) -> int:
    """Dimensions that so many points need, by Johnson and Lindenstrauss's lemma.

    4 ln n / (ε² / 2 - ε³ / 3), Dasgupta and Gupta, "An elementary proof of a theorem of Johnson
    and Lindenstrauss", 2003.
    """
    return int(4 * log(n_points) / (PROJECTION_ERROR**2 / 2 - PROJECTION_ERROR**3 / 3))


def greedy_k_centres(points: np.ndarray, number: int, start: int) -> np.ndarray:
    """Choose points so that each is the farthest from those chosen before it.

    A distance to the nearest chosen point only shrinks, so an old one is an upper bound. The
    points with the largest bounds are brought up to date, and choices are made among them for as
    long as the farthest of them is farther than the bound of all others: the same choices as if
    every distance were renewed after each, by fewer and larger matrix products.

    Parameters
    ----------
    points
        float32, (n_points, n_dimensions); centred in place, for a copy may not fit.
    number
        Points to choose, at most n_points.
    start
        Row of the first choice.

    Returns
    -------
    ndarray
        int64, (number,), different rows in order of choice.
    """
    points -= points.mean(axis=0)  # smaller norms lose less to rounding
    norms = np.einsum("ij,ij->i", points, points)
    bounds = np.full(len(points), np.inf, np.float32)
    seen = np.zeros(len(points), np.int64)
    chosen = np.empty(number, np.int64)
    chosen[0], done = start, 1
    bounds[start] = CHOSEN
    progress = Progress(number, "coreset", unit="patches")
    while done < number:
        # every point outside `rows` is nearer to a chosen one than `limit`, whatever is chosen next
        rows, limit = _largest(bounds)
        _renew(points, norms, bounds, seen, rows, chosen[:done])
        near, near_norms, near_bounds = points[rows], norms[rows], bounds[rows]
        before = done
        while done < number:
            farthest = int(near_bounds.argmax())
            if near_bounds[farthest] < limit:
                break
            chosen[done], done = rows[farthest], done + 1
            squared = near_norms + near_norms[farthest] - 2 * (near @ near[farthest])
            np.minimum(near_bounds, np.maximum(squared, 0), out=near_bounds)
            near_bounds[farthest] = CHOSEN
        bounds[rows], seen[rows] = near_bounds, done
        progress.advance(done - before)
    return chosen


def _largest(bounds: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows of the largest bounds, in order of row, and the largest bound of all others."""
    if len(bounds) <= CANDIDATES:
        return np.arange(len(bounds)), -np.inf
    order = np.argpartition(bounds, -CANDIDATES - 1)
    return np.sort(order[-CANDIDATES:]), bounds[order[-CANDIDATES - 1]]


def _renew(
    points: np.ndarray,
    norms: np.ndarray,
    bounds: np.ndarray,
    seen: np.ndarray,
    rows: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """Compare `rows` with the chosen points that each has not been compared with."""
    for count in np.unique(seen[rows]):
        members = rows[seen[rows] == count]
        for first in range(count, len(chosen), CANDIDATES):
            new = chosen[first : first + CANDIDATES]
            products = points[members] @ points[new].T
            products *= -2
            products += norms[new]
            nearest = np.maximum(products.min(axis=1) + norms[members], 0)
            bounds[members] = np.minimum(bounds[members], nearest)
    seen[rows] = len(chosen)
