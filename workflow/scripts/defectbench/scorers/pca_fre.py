"""FRE: squared error between a feature and its reconstruction from principal components."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers import components
from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.grids import bilinear, finest_grid, map_shape
from defectbench.scorers.layers import Features, Layer, image_blocks, layer_list, map_list
from defectbench.scorers.leave_out import (
    Reduced,
    Residuals,
    held_out_mean,
    joined,
    left_out_residuals,
    residual_bytes,
)
from defectbench.scorers.matrices import block_scores
from defectbench.scorers.sizes import projected_bytes, refuse_too_large


class PcaFre(Scorer):
    """Feature reconstruction error Σ(x - x̂)², and where in the image it is.

    The components are orthonormal, so an image's error is ‖x-μ‖² - ‖W(x-μ)‖² and nothing is
    reconstructed unless a map is asked for: the squared residual, summed over the channels.
    Ndiour, Ahuja, Genc, Tickoo, "FRE: A Fast Method For Anomaly Detection And Segmentation",
    BMVC 2023.

    When to use it: first of all. It costs one eigendecomposition with the number of training
    images as its side, and milliseconds per image. Several layers localize fine and coarse
    defects in one map; how the publication combined them is not documented, so this is our own
    way: per layer the channel mean of the squared residual, bilinear to one grid, divided by the
    layer's mean over held-out training images, averaged over the layers.

    Parameters
    ----------
    variance
        Share of the training features' variance that the components keep, above 0, below 1.
    image_score
        Image score of a map: its ``sum`` (published), or its ``max``.
    map_size
        Longer side of the combined map of several layers; None: the finest layer's grid.

    Attributes
    ----------
    mean_
        Per layer: float64, (n_dimensions,), of the training features.
    components_
        Per layer: float32, (n_components, n_dimensions).
    layer_means_
        float64, (n_layers,): mean of the map over held-out training images, where the components
        come from four fifths of the images and the map from the rest, a run of neighbours in the
        order given, since neighbours may show one part. Of a single layer: 1.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8)) * [9, 9, 1, 0, 0, 0, 0, 0]
    >>> scorer = PcaFre(variance=0.97).fit(X)
    >>> len(scorer.components_[0])
    2
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "variance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "image_score": {"enum": ["sum", "max"]},
        "map_size": {"type": ["integer", "null"], "minimum": 1},
    }
    fitted = ("mean", "components", "layer_means")
    localizes = True
    fewest_of_layers = 3  # images held out say how to weigh them
    dependent_scores = True  # of two images alike, each lowers what is left of the other

    def __init__(
        self, *, variance: float = 0.97, image_score: str = "sum", map_size: int | None = None
    ) -> None:
        self.variance = variance
        self.image_score = image_score
        self.map_size = map_size

    def fit(self, X: Features) -> Self:
        """Learn mean and components of each layer; see `Scorer.fit`."""
        layers = map_list(X) if isinstance(X, list) else layer_list(X)
        refuse_too_large(self, X)
        share = float(self.variance)
        analyses = [components.principal_components(layer, keep=share) for layer in layers]
        self.mean_ = [analysis.mean for analysis in analyses]
        self.components_ = [analysis.components for analysis in analyses]
        self.analysis_ = max(analysis.analysis for analysis in analyses)  # randomised if one is
        self._spectra = [analysis.spectrum for analysis in analyses]
        self.layer_means_ = np.ones(1)
        if len(layers) > 1:
            positions = np.array([prod(layer.shape[1:]) for layer in layers])
            reduced = map(Reduced, layers, self._spectra)
            self.layer_means_ = [held_out_mean(each, share) for each in reduced] / positions
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of components, coordinates and held-out residuals; see `Scorer.fit_bytes`."""
        residuals = max(residual_bytes(shape[0], prod(shape[1:])) for shape in shapes)
        if len(shapes) == 1:
            return projected_bytes(shapes) + residuals
        # the mean of each layer's map takes exact components
        sizes = [(shape[0], prod(shape[1:])) for shape in shapes]
        return sum(components.analysis_bytes(*size) for size in sizes) + residuals

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Sum or maximum of the map; see `Scorer.anomaly_score`."""
        if self._scores_the_map():
            map_list(X)
            return np.concatenate(
                [image_scores(self._map(parts), self.image_score) for _, parts in image_blocks(X)]
            )
        (analysis,) = self._analyses()
        return block_scores(X, lambda block: components.squared_error(block, analysis))

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Squared residual at each position; see `Scorer.anomaly_map`.

        Of one layer: on its own grid, in squared units of the feature. Of several: without unit,
        on average 1 for held-out defect-free images.
        """
        map_list(X)
        return np.concatenate([self._map(parts) for _, parts in image_blocks(X)])

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both from one map; see `Scorer.score_and_map`."""
        if not self._scores_the_map():
            return super().score_and_map(X)
        maps = self.anomaly_map(X)
        return image_scores(maps, self.image_score), maps

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the spectrum of all images; see `Scorer.held_out`."""
        if any(found is None for found in self._spectra):
            yield from super().held_out(X, folds, maps=maps)
            return
        layers = layer_list(X)
        reduced = list(map(Reduced, layers, self._spectra))
        positions = [prod(layer.shape[2:]) for layer in layers]
        residuals = left_out_residuals(reduced, positions, folds, float(self.variance))
        if not maps and not self._scores_the_map():
            for rows, (residual,) in residuals:
                yield Judged(rows, (residual**2).sum(axis=1), None)
            return
        for rows, parts, found in left_out_maps(layers, reduced, residuals, self.map_size):
            sums = (parts[0] ** 2).sum(axis=1)
            scores = image_scores(found, self.image_score) if self._scores_the_map() else sums
            yield Judged(rows, scores, found)

    def _map(self, layers: list[np.ndarray]) -> np.ndarray:
        """The map of a block of images."""
        errors = map(components.squared_residual, layers, self._analyses())
        if len(layers) == 1:
            return combined_map(list(errors), None)
        weights = 1 / (self.layer_means_ * len(layers))
        weighted = [
            error * (weight / layer.shape[1])
            for error, weight, layer in zip(errors, weights, layers, strict=True)
        ]
        return combined_map(weighted, self.map_size)

    def _scores_the_map(self) -> bool:
        """The sum of one layer's map is known without it."""
        return self.image_score == "max" or len(self.mean_) > 1

    def _analyses(self) -> list[components.Components]:
        return list(map(components.Components, self.mean_, self.components_))


def left_out_maps(
    layers: Sequence[Layer],
    reduced: Sequence[Reduced],
    residuals: Iterator[Residuals],
    size: int | None,
) -> Iterator[tuple[np.ndarray, list[np.ndarray], np.ndarray]]:
    """Maps of residuals, with the residuals themselves; `size` as in `combined_map`."""
    # all images are read to make features of residuals: of many at once
    for rows, parts in joined(residuals, min(each.at_once for each in reduced)):
        errors = [
            squared_sum(each.features(part), layer.shape[1:])
            for each, part, layer in zip(reduced, parts, layers, strict=True)
        ]
        yield rows, parts, combined_map(errors, size)


def combined_map(errors: list[np.ndarray], size: int | None) -> np.ndarray:
    """The map of weighted errors of the layers: float32, (n_images, height, width).

    Parameters
    ----------
    errors
        Of each layer, on its own grid.
    size
        Longer side of the map of several layers; None: the finest grid.
    """
    if len(errors) == 1:
        return errors[0].astype(np.float32)
    finest = finest_grid(errors)
    grid = map_shape(finest, size) if size else finest
    combined = np.zeros((len(errors[0]), *grid), np.float32)
    for error in errors:
        combined += bilinear(error, grid)
    return combined


def image_scores(maps: np.ndarray, kind: str) -> np.ndarray:
    """Sum or maximum of each map, float64."""
    if kind == "max":
        return maps.max(axis=(1, 2)).astype(np.float64)
    return maps.sum(axis=(1, 2), dtype=np.float64)


def squared_sum(residuals: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Squares summed over the channels: float64, (n_images, height, width).

    Parameters
    ----------
    residuals
        (n_images, n_dimensions).
    shape
        Channels, height and width.
    """
    channels, *grid = shape
    parts = residuals.reshape(len(residuals), channels, -1)
    return np.einsum("icp,icp->ip", parts, parts).reshape(-1, *grid)
