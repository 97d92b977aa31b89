"""Squared residual of each patch to the principal components of all patches."""

from typing import Any, ClassVar, Self

import numpy as np

from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.base import Features, Scorer, map_list
from defectbench.scorers.grids import finest_grid, patch_features
from defectbench.scorers.linear_algebra import Components, principal_components, project


class PatchSubspace(Scorer):
    """Squared error between each patch's feature and its reconstruction.

    The principal components are those of all patches of all training images, whatever their
    place; several layers are concatenated on the finest grid. The image score is the mean of the
    map's largest hundredth. As SubspaceAD does on the patch tokens of vision transformers, here on
    any feature map.

    When to use it: with few training images, since every one gives hundreds of patches, and where
    parts turn or shift. It is the smallest model that localizes, costs one eigendecomposition
    with the number of channels as its side, and milliseconds per image.

    Parameters
    ----------
    variance
        Share of the patches' variance that the components keep, above 0, below 1.

    Attributes
    ----------
    mean_
        float64, (channels,), of the training patches.
    components_
        float32, (n_components, channels).

    Examples
    --------
    >>> rng = np.random.default_rng(42)
    >>> X = rng.normal(size=(20, 6, 4, 4)) * np.reshape([9, 9, 1, 0, 0, 0], (6, 1, 1))
    >>> scorer = PatchSubspace().fit(X)
    >>> len(scorer.components_)
    2
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "variance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    }
    fitted = ("mean", "components")
    localizes = True

    def __init__(self, *, variance: float = 0.99) -> None:
        self.variance = variance

    def fit(self, X: Features) -> Self:
        """Learn the components of all patches; see `Scorer.fit`."""
        layers = map_list(X)
        channels = sum(layer.shape[1] for layer in layers)
        n_patches = len(layers[0]) * int(np.prod(finest_grid(layers)))
        refuse_beyond_memory(
            4 * n_patches * channels, "read a coarser layer, or fewer training images"
        )
        patches = patch_features(layers).reshape(n_patches, channels)
        self.mean_, self.components_ = principal_components(patches, keep=float(self.variance))
        return self

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Squared residual of each patch; see `Scorer.anomaly_map`."""
        layers = map_list(X)
        components = Components(self.mean_, self.components_)
        maps = np.empty((len(layers[0]), *finest_grid(layers)), np.float32)
        for number, residual in enumerate(maps):
            patches = patch_features([layer[number : number + 1] for layer in layers])
            coordinates, squared_norm = project(patches.reshape(residual.size, -1), components)
            squared = np.maximum(squared_norm - (coordinates**2).sum(axis=1), 0)
            residual[:] = squared.reshape(residual.shape)
        return maps

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Mean of the map's largest hundredth; see `Scorer.anomaly_score`."""
        return self.score_and_map(X)[0]

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both from one map; see `Scorer.score_and_map`."""
        maps = self.anomaly_map(X)
        values = np.sort(maps.reshape(len(maps), -1), axis=1)
        largest = values[:, -max(1, values.shape[1] // 100) :]
        return largest.mean(axis=1, dtype=np.float64), maps
