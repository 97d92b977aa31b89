"""Greedy k-centre selection, and the random projection it is made on."""

from math import log

import numpy as np

from defectbench.progress import Progress

CANDIDATES = 32768
"""Points that are brought up to date at once."""

FARTHEST = 2048
"""Points among which the next choices are made; their features fit a processor's cache."""

CHUNK = 128
"""Chosen points that candidates are compared with before the hopeless among them are dropped."""

PIECE = 4096
"""Candidates in one product, which then fits a processor's cache."""

CHOSEN = -1.0
"""Bound of a chosen point: below every distance, so that it is never chosen again."""

PROJECTION_ERROR = 0.9
"""Relative error of distances that the projection's size is chosen for (as published)."""


def random_projection(dimensions: int, n_points: int, seed: int) -> np.ndarray | None:
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
    ndarray or None
        float32, (reduced_dimensions, dimensions); None where no dimension would be saved.
    """
    from sklearn.random_projection import SparseRandomProjection  # not to check a config: 1 s

    reduced = projected_dimensions(n_points)
    if reduced >= dimensions:
        return None
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
    points with the largest bounds are brought up to date, chunk by chunk of the chosen ones, and
    dropped as soon as they fall behind the bounds of all others. Choices are made among those that
    are left, for as long as the farthest of them is farther than all others can be: the same
    choices as if every distance were renewed after each.

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
        int64, (number,), different rows in order of choice; of equally far points, the first.
    """
    selection = Selection(points, number)
    selection.choose(start)
    progress = Progress(number, "coreset", unit="patches")
    while selection.done < number:
        before = selection.done
        selection.go_on()
        progress.advance(selection.done - before)
    return selection.chosen


class Selection:
    """Points chosen so far, and how far every point is from them at most.

    Parameters
    ----------
    points, number
        As of `greedy_k_centres`.

    Attributes
    ----------
    chosen
        int64, (number,): rows, the first `done` of them.
    done
        How many.
    """

    def __init__(self, points: np.ndarray, number: int) -> None:
        points -= points.mean(axis=0)  # smaller norms lose less to rounding
        self._points = points
        self._norms = np.einsum("ij,ij->i", points, points)
        self._bounds = np.full(len(points), np.inf, np.float32)
        self._seen = np.zeros(len(points), np.int64)
        self.chosen, self.done = np.empty(number, np.int64), 0
        # with [x, 1] as the other factor a product is ‖c‖² - 2xc at once
        self._centres = np.empty((number, points.shape[1] + 1), np.float32)
        self._near = np.ones((min(CANDIDATES, len(points)), points.shape[1] + 1), np.float32)

    def choose(self, row: int) -> None:
        """Choose a point; bounds are not renewed."""
        centre = self._centres[self.done]
        np.multiply(self._points[row], -2, out=centre[:-1])
        centre[-1] = self._norms[row]
        self.chosen[self.done] = row
        self.done += 1
        self._bounds[row] = CHOSEN

    def go_on(self) -> None:
        """Renew the points with the largest bounds, and choose what they allow."""
        rows, least = largest(self._bounds, CANDIDATES)
        near, norms, bounds = self._near[: len(rows)], self._norms[rows], self._bounds[rows]
        near[:, :-1] = self._points[rows]
        seen = self._seen[rows]
        self._renew(near, norms, bounds, seen, least)
        while self.done < len(self.chosen) and bounds.max() >= least:
            self._choose_among(rows, near, norms, bounds, seen, least)
            self._renew(near, norms, bounds, seen, least)
        self._bounds[rows], self._seen[rows] = bounds, seen

    def _choose_among(
        self,
        rows: np.ndarray,
        near: np.ndarray,
        norms: np.ndarray,
        bounds: np.ndarray,
        seen: np.ndarray,
        least: float,
    ) -> None:
        """Choose among the farthest candidates, which are kept up to date choice by choice."""
        left, least_left = largest(bounds, FARTHEST)
        least = max(least, least_left)
        left = left[bounds[left] >= least]  # others may not be up to date
        near, norms, current = near[left], norms[left], bounds[left]
        while self.done < len(self.chosen):
            farthest = int(current.argmax())
            if current[farthest] < least:
                break
            self.choose(rows[left[farthest]])
            squared = near @ self._centres[self.done - 1]
            squared += norms
            np.minimum(current, np.maximum(squared, 0, out=squared), out=current)
            current[farthest] = CHOSEN
            hopeful = current >= least
            if 2 * np.count_nonzero(hopeful) < len(left):
                bounds[left], seen[left] = current, self.done
                left, near = left[hopeful], near[hopeful]
                norms, current = norms[hopeful], current[hopeful]
                if not len(left):
                    break
        bounds[left], seen[left] = current, self.done

    def _renew(
        self,
        near: np.ndarray,
        norms: np.ndarray,
        bounds: np.ndarray,
        seen: np.ndarray,
        least: float,
    ) -> None:
        """Compare candidates with chosen points that they have not seen, while they can matter."""
        for first in range(int(seen.min()) // CHUNK * CHUNK, self.done, CHUNK):
            last = min(first + CHUNK, self.done)
            members = np.flatnonzero((seen < last) & (bounds >= least))
            for part in np.split(members, range(PIECE, len(members), PIECE)):
                # a part of a chunk may be seen again, which changes no minimum
                products = self._centres[first:last] @ near[part].T
                nearest = products.min(axis=0)
                nearest += norms[part]
                np.maximum(nearest, 0, out=nearest)
                bounds[part] = np.minimum(bounds[part], nearest)
            seen[members] = last


def largest(bounds: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Rows of the largest bounds, ascending, at most `count`, and the least of them.

    A point with at least that bound is among them, or is their equal in a later row.
    """
    if len(bounds) <= count:
        return np.arange(len(bounds)), 0.0
    limit = np.partition(bounds, -count - 1)[-count - 1]
    rows = np.flatnonzero(bounds > limit)
    if len(rows):
        return rows, float(np.nextafter(limit, np.float32(np.inf)))
    return np.flatnonzero(bounds == limit)[:count], float(limit)
