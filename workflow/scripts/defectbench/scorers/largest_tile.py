"""A scorer of vectors on images cut into tiles: an image is as anomalous as its worst tile."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.layers import Features, Layer, number_of_images


class TileRows:
    """Vectors of tiles as those of images, (n_images × tiles, dimensions); a `Layer`.

    Parameters
    ----------
    layer
        (n_images, tiles, dimensions).
    """

    ndim = 2

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.dtype = layer.dtype
        self.shape = (layer.shape[0] * layer.shape[1], layer.shape[2])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Vectors of consecutive tiles."""
        start, stop, _ = rows.indices(len(self))
        tiles = self._layer.shape[1]
        first = start // tiles
        vectors = self._layer[first : -(-stop // tiles)].reshape(-1, self.shape[1])
        return vectors[start - first * tiles : stop - first * tiles]

    def take(self, rows: np.ndarray, axis: int = 0) -> np.ndarray:
        """Vectors of some tiles, in memory: they are small."""
        return self[:].take(rows, axis=axis)


def tile_rows(X: Layer) -> Layer:
    """Vectors of all tiles, (n_images × tiles, dimensions)."""
    return X.reshape(-1, X.shape[2]) if isinstance(X, np.ndarray) else TileRows(X)


class LargestTile(Scorer):
    """Fitted on the tiles of all training images together; scores an image by its largest tile.

    Parameters
    ----------
    scorer
        Of vectors. Its fitted attributes are all there are.
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.fitted, self.draws = scorer.fitted, scorer.draws
        self.few_folds, self.most_folds = scorer.few_folds, scorer.most_folds
        self.rough_scale, self.dependent_scores = scorer.rough_scale, scorer.dependent_scores

    def fit(self, X: Features) -> Self:
        """Fit the scorer on tiles; see `Scorer.fit`."""
        self.scorer.fit(tile_rows(X))
        self.analysis_ = self.scorer.analysis_
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of the scorer on so many more vectors; see `Scorer.fit_bytes`."""
        ((images, tiles, dimensions),) = shapes
        return self.scorer.fit_bytes([(images * tiles, dimensions)])

    def to_arrays(self) -> dict[str, Layer]:
        """Those of the scorer; see `Scorer.to_arrays`."""
        return self.scorer.to_arrays()

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Restore the scorer; see `Scorer.from_arrays`."""
        self.scorer.from_arrays(arrays)
        return self

    def anomaly_score(self, X: Features) -> np.ndarray:
        """The largest score of an image's tiles; see `Scorer.anomaly_score`."""
        return self.scorer.anomaly_score(tile_rows(X)).reshape(X.shape[:2]).max(axis=1)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """All tiles of an image are held out with it; see `Scorer.held_out`."""
        tiles = X.shape[1]
        of_tiles = [(members[:, None] * tiles + np.arange(tiles)).ravel() for members in folds]
        scores = np.full(number_of_images(X) * tiles, -np.inf)
        for found in self.scorer.held_out(tile_rows(X), of_tiles, maps=False):
            scores[found.rows] = found.scores
        rows = np.concatenate(folds)
        yield Judged(rows, scores.reshape(-1, tiles)[rows].max(axis=1), None)


def of_features(scorer: Scorer, X: Features) -> Scorer:
    """The scorer, or one of its largest tile where the features are vectors of tiles."""
    return LargestTile(scorer) if not isinstance(X, list) and X.ndim == 3 else scorer
