"""Squared residual of each patch to the principal components of all patches."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Judged, Scorer, judge
from defectbench.scorers.components import Components, principal_components, squared_error
from defectbench.scorers.grids import finest_grid, patch_features
from defectbench.scorers.layers import Features, image_blocks, map_list, take_images
from defectbench.scorers.leave_out import Reduced
from defectbench.scorers.patches import Patches, patches_shape, patching_bytes
from defectbench.scorers.sizes import components_bytes, refuse_too_large


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
    position_free = True

    def __init__(self, *, variance: float = 0.99) -> None:
        self.variance = variance

    def fit(self, X: Features) -> Self:
        """Learn the components of all patches; see `Scorer.fit`."""
        layers = map_list(X)
        refuse_too_large(self, X)
        analysis = principal_components(Patches(layers), keep=float(self.variance))
        self.mean_, self.components_, self.analysis_, self._spectrum = analysis
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of the components of all patches, made block by block; see `Scorer.fit_bytes`."""
        return patching_bytes(shapes) + components_bytes([patches_shape(shapes)])

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the spectrum of all patches; see `Scorer.held_out`."""
        if self._spectrum is None or self._spectrum.wide:
            yield from super().held_out(X, folds, maps=maps)
            return
        layers, fold = map_list(X), copy.copy(self)
        patches = Patches(layers)
        reduced = Reduced(patches, self._spectrum, patches.of_images)
        for members in folds:
            left = reduced.without(members)
            kept = left.vectors[:, : left.kept(float(self.variance))]
            fold.mean_ = self.mean_ + left.mean
            fold.components_ = np.ascontiguousarray(kept.T, np.float32)
            for found in judge(fold, take_images(layers, members), maps=maps):
                yield found._replace(rows=members[found.rows])

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Squared residual of each patch; see `Scorer.anomaly_map`."""
        layers = map_list(X)
        components = Components(self.mean_, self.components_)
        maps = np.empty((len(layers[0]), *finest_grid(layers)), np.float32)
        for images, parts in image_blocks(layers):
            for number, residual in enumerate(maps[images]):
                patches = patch_features([part[number : number + 1] for part in parts])
                squared = squared_error(patches.reshape(residual.size, -1), components)
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
