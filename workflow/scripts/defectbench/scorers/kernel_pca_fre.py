"""FRE in the feature space of a Gaussian kernel."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.kernels import (
    KernelComponents,
    kernel_components,
    reconstruction_error,
    squared_distances,
)
from defectbench.scorers.layers import Features, check_varied, reading_bytes
from defectbench.scorers.matrices import as_matrix
from defectbench.scorers.sizes import refuse_too_large


class KernelPcaFre(Scorer):
    """Reconstruction error of kernel principal components, k(x, y) = exp(-γ ‖x-y‖²).

    Hoffmann, "Kernel PCA for novelty detection", Pattern Recognition 2007. The kernel is centred
    in its feature space for the training images and for new ones.

    When to use it: where good parts come in several kinds or bend away from a plane. It keeps all
    training features, and its time and memory grow with the square of their number. The score
    saturates: images far from all training images score alike.

    Parameters
    ----------
    variance
        Share of the variance in the kernel's feature space that the components keep.
    gamma
        γ, in inverse squared units of the features; None: 1 / (dimensions × variance of all
        training values).

    Attributes
    ----------
    points_
        Training features, (n_images, n_dimensions).
    gamma_
        γ as used.
    row_means_
        float64, (n_images,), of the training images' kernel matrix.
    directions_
        float64, (n_images, n_components); see `KernelComponents`.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8))
    >>> scorer = KernelPcaFre(variance=0.9).fit(X)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "variance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "gamma": {"type": ["number", "null"], "exclusiveMinimum": 0},
    }
    fitted = ("points", "gamma", "row_means", "directions")

    def __init__(self, *, variance: float = 0.97, gamma: float | None = None) -> None:
        self.variance = variance
        self.gamma = gamma

    def fit(self, X: Features) -> Self:
        """Learn the components in feature space; see `Scorer.fit`."""
        refuse_too_large(self, X)
        self.points_ = as_matrix(X)
        check_varied([self.points_])
        scale = self.points_.shape[1] * self.points_.var(dtype=np.float64)
        self.gamma_ = self.gamma or 1 / scale
        self._squared = self._distances(self.points_)
        components = kernel_components(np.exp(-self.gamma_ * self._squared), self.variance)
        self.row_means_, self.directions_ = components
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Some matrices of all pairs of images; see `Scorer.fit_bytes`."""
        return 3 * 4 * sum(map(prod, shapes)) + reading_bytes(shapes) + 6 * 8 * shapes[0][0] ** 2

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Squared distance to the reconstruction; see `Scorer.anomaly_score`."""
        kernel = self._distances(as_matrix(X))
        kernel *= -self.gamma_
        np.exp(kernel, out=kernel)
        components = KernelComponents(self.row_means_, self.directions_)
        return reconstruction_error(np.ones(len(kernel)), kernel, components)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the distances of all images; see `Scorer.held_out`."""
        n_dimensions = self.points_.shape[1]
        centred = self.points_ - self.points_.mean(dtype=np.float64)
        means, squares = centred.mean(axis=1), np.einsum("ij,ij->i", centred, centred)
        del centred
        for members in folds:
            rest = np.setdiff1d(np.arange(len(self._squared)), members)
            scale = squares[rest].mean() - n_dimensions * means[rest].mean() ** 2
            gamma = self.gamma or 1 / scale
            kernel = np.exp(-gamma * self._squared[np.ix_(rest, rest)])
            components = kernel_components(kernel, self.variance)
            kernel = np.exp(-gamma * self._squared[np.ix_(members, rest)])
            scores = reconstruction_error(np.ones(len(members)), kernel, components)
            yield Judged(members, scores, None)

    def _distances(self, X: np.ndarray) -> np.ndarray:
        """Squared distances to all points: float64, (n_images, n_points)."""
        return squared_distances(X, self.points_, self.points_.mean(axis=0, dtype=np.float64))
