"""PatchCore: distance of each patch to the nearest in a memory of defect-free ones."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np

from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.base import Judged, Scorer, judge_rows
from defectbench.scorers.grids import finest_grid, patch_features, smooth_maps
from defectbench.scorers.layers import (
    Features,
    Layer,
    check_varied,
    image_blocks,
    map_list,
    number_of_images,
)
from defectbench.scorers.patch_memory import ROWS, Needed, PatchMemory
from defectbench.scorers.sizes import REMEDY

FIRST, POINTS = 16, 512
"""Of the search for the farthest patch: those compared with all points, and points at once."""

ROUNDING = 1e-4
"""Of sums of squares in float32: several times what so many channels can lose."""


class Patchcore(Scorer):
    """Euclidean distance of each patch to its nearest neighbour among defect-free patches.

    A patch is the mean of a 3×3 neighbourhood, its layers concatenated on the finest grid. Of the
    training patches a greedy k-centre selection on a random projection is kept. The map is brought
    to `map_size` bilinearly and blurred; the image score is the largest distance, weighted by how
    much nearer the patch is to its neighbour's neighbours. Roth, Pemula, Zepeda, Schölkopf, Brox,
    Gehler, "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022.

    When to use it: where parts turn or shift, and small defects count. It is the slowest to fit
    and to score; time grows with training patches × kept ones, and scoring with the kept ones.

    Parameters
    ----------
    coreset
        Share of the training patches that is kept.
    selection
        ``all``: one selection from the patches of all images, as published. ``folds``: one from
        the images of each fold that is held out; the memory is their union, and held-out scores
        take no further selection.
    neighbours
        Kept patches around the nearest one that weight the image score; 1: no weight.
    map_size
        Longer side of the anomaly map, which is no coarser than the finest layer's grid.
    seed
        Of the projection and the first kept patch.

    Attributes
    ----------
    memory_
        float32, (n_patches, channels): the kept patches, in order of selection; of several
        selections by turns.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(20, 6, 4, 4)).astype(np.float32)
    >>> scorer = Patchcore(map_size=8).fit(X)
    >>> scorer.memory_.shape
    (32, 6)
    >>> scorer.anomaly_map(X).shape
    (20, 8, 8)
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "coreset": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "selection": {"enum": ["all", "folds"]},
        "neighbours": {"type": "integer", "minimum": 1},
        "map_size": {"type": "integer", "minimum": 1},
    }
    fitted = ("memory",)
    localizes = True
    position_free = True
    draws = True
    few_folds = True

    def __init__(
        self,
        *,
        coreset: float = 0.1,
        selection: Literal["all", "folds"] = "all",
        neighbours: int = 9,
        map_size: int = 256,
        seed: int = 42,
    ) -> None:
        self.coreset = coreset
        self.selection = selection
        self.neighbours = neighbours
        self.map_size = map_size
        self.seed = seed

    def fit(self, X: Features) -> Self:
        """Select the memory, from all images at once; see `Scorer.fit`."""
        return self.fit_for_folds(X, [np.arange(number_of_images(X))])

    def fit_for_folds(self, X: Features, folds: Sequence[np.ndarray]) -> Self:
        """Select from each fold, if `selection` says so; see `Scorer.fit_for_folds`."""
        layers = map_list(X)
        parts = folds if self.selection == "folds" else [np.arange(len(layers[0]))]
        shapes, most = [layer.shape for layer in layers], max(map(len, parts))
        needed = self._needed(shapes, most)
        refuse_beyond_memory(needed.bytes(), REMEDY)
        check_varied(layers)
        self._kept = PatchMemory(layers, parts, self.coreset, self.seed, needed.drawn)
        self.memory_ = self._kept.rows
        self.analysis_ = "exact" if len(parts) == 1 else "union of selections"
        if needed.drawn:
            self.analysis_ = f"drawn patches: {needed.drawn} of {needed.positions}"
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """A selection and memories, of fewer patches where all are too many; see `Scorer`."""
        most = shapes[0][0]  # as many as one fold can hold, where groups are large
        return self._needed(shapes, most).bytes()

    def _needed(self, shapes: Sequence[tuple[int, ...]], most: int) -> Needed:
        return Needed(shapes, self.coreset, self.selection == "folds", most).that_fits()

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """By the selections from other images; see `Scorer.held_out`."""
        fold = copy.copy(self)
        for members in folds:
            fold.memory_ = self._kept.without(members)
            yield from judge_rows(fold, X, members, maps=maps)

    def distances(self, X: Features) -> np.ndarray:
        """Distance to the nearest kept patch at each position: float32, (n_images, h, w)."""
        return self._compare(map_list(X))[0]

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Distances on a finer grid, smoothed; see `Scorer.anomaly_map`."""
        return smooth_maps(self.distances(X), self.map_size)

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Largest distance, weighted; see `Scorer.anomaly_score`."""
        search = NearestPatch(self.memory_)
        scores = []
        for _, patches in image_patches(map_list(X)):
            row, nearest, distance = search.farthest(patches)
            scores.append(self._weight(patches[row], nearest) * distance)
        return np.array(scores)

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both from one search; see `Scorer.score_and_map`."""
        distances, scores = self._compare(map_list(X))
        return scores, smooth_maps(distances, self.map_size)

    def _compare(self, layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
        """Distances at each position, and image scores."""
        n_images, grid = len(layers[0]), finest_grid(layers)
        distances = np.empty((n_images, *grid), np.float32)
        scores = np.empty(n_images)
        search = NearestPatch(self.memory_)
        for number, patches in image_patches(layers):
            nearest, found = search(patches)
            farthest = found.argmax()
            distances[number] = found.reshape(grid)
            weight = self._weight(patches[farthest], nearest[farthest])
            scores[number] = weight * found[farthest]
        return distances, scores

    def _weight(self, patch: np.ndarray, nearest: int) -> float:
        return support_weight(patch, nearest, self.memory_, self.neighbours)


def support_weight(patch: np.ndarray, nearest: int, memory: np.ndarray, neighbours: int) -> float:
    """One less the softmax, over kept patches around the nearest, of the distances to them."""
    count = min(neighbours, len(memory))
    if count == 1:
        return 1.0
    around = np.linalg.norm(memory - memory[nearest], axis=1)
    support = memory[np.argsort(around, kind="stable")[:count]]
    distances = np.linalg.norm(support.astype(np.float64) - patch, axis=1)
    shares = np.exp(distances - distances.max())
    return 1 - shares[0] / shares.sum()


def image_patches(layers: list[Layer]) -> Iterator[tuple[int, np.ndarray]]:
    """Number of each image and its patches: float32, (n_patches, n_channels)."""
    for images, parts in image_blocks(layers):
        for number in range(images.start, images.stop):
            place = number - images.start
            one = [part[place : place + 1] for part in parts]
            patches = patch_features(one, neighbourhood=True)
            yield number, patches.reshape(-1, patches.shape[-1])


class NearestPatch:
    """Exact nearest neighbours among many points by blocked matrix products.

    ‖y‖² - 2xy finds the nearest in float32; its distance is then computed from the difference.

    Parameters
    ----------
    points
        float32, (n_points, n_dimensions).
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._centre = points.mean(axis=0)  # smaller norms lose less to rounding
        centred = points - self._centre
        norms = np.einsum("ij,ij->i", centred, centred)
        self._augmented = np.hstack([-2 * centred, norms[:, None]]).T

    def __call__(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row of the nearest point, and float64 distance to it, for every row of `X`."""
        nearest = np.empty(len(X), np.int64)
        for start in range(0, len(X), ROWS):
            block = X[start : start + ROWS] - self._centre
            ones = np.ones((len(block), 1), np.float32)
            nearest[start : start + ROWS] = (np.hstack([block, ones]) @ self._augmented).argmin(1)
        return nearest, np.linalg.norm(X.astype(np.float64) - self.points[nearest], axis=1)

    def farthest(self, X: np.ndarray) -> tuple[int, int, float]:
        """Row of `X` that is farthest from its nearest point, that point, and their distance.

        A row is compared with more points only as long as it may be the farthest: the nearest of
        the points so far bounds its distance. The more the first points differ, as those do that
        were selected first, the sooner most rows are done.
        """
        centred = X - self._centre
        norms = np.einsum("ij,ij->i", centred, centred)
        augmented = np.hstack([centred, np.ones((len(X), 1), np.float32)])
        # of float32 sums of squares; a row is dropped when rounding cannot make it the farthest
        slack = ROUNDING * (norms.max() + self._augmented[-1].max())
        bounds = norms + (augmented @ self._augmented[:, :POINTS]).min(axis=1)
        rows = np.argsort(-bounds, kind="stable")[:FIRST]
        least = self(X[rows])[1].max() ** 2 - slack
        others = np.setdiff1d(np.flatnonzero(bounds > least), rows)
        for start in range(POINTS, self._augmented.shape[1], POINTS):
            if not len(others):
                break
            products = augmented[others] @ self._augmented[:, start : start + POINTS]
            bounds[others] = np.minimum(bounds[others], norms[others] + products.min(axis=1))
            others = others[bounds[others] > least]
        rows = np.sort(np.concatenate([rows, others]))
        nearest, distances = self(X[rows])
        place = int(distances.argmax())
        return int(rows[place]), int(nearest[place]), float(distances[place])
