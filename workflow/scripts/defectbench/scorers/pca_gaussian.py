"""DFM: negative log likelihood of principal components under a Gaussian."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.components import Components, principal_components, project
from defectbench.scorers.layers import Features
from defectbench.scorers.leave_out import Reduced
from defectbench.scorers.matrices import block_scores, matrix_blocks, matrix_shape, one_layer
from defectbench.scorers.sizes import projected_bytes, refuse_too_large


class PcaGaussian(Scorer):
    """Negative log likelihood ½ Σ z²/λ + ½ Σ log λ + (q/2) log 2π of q principal components.

    z are an image's coordinates on the components, λ their unbiased variances in training. Ahuja,
    Ndiour, Kalyanpur, Tickoo, "Probabilistic Modeling of Deep Features for Out-of-Distribution and
    Adversarial Detection", 2019 (DFM).

    When to use it: on pooled vectors, where defective parts differ from good ones along
    directions in which good ones vary; what lies off the components it cannot see, and `pca_fre`
    sees nothing else. It costs one eigendecomposition, and microseconds per image.

    Parameters
    ----------
    variance
        Share of the training features' variance that the components keep, above 0, below 1.

    Attributes
    ----------
    mean_
        float64, (n_dimensions,), of the training features.
    components_
        float32, (n_components, n_dimensions).
    variances_
        float64, (n_components,), along the components.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8)) * [9, 9, 1, 0, 0, 0, 0, 0]
    >>> scorer = PcaGaussian(variance=0.97).fit(X)
    >>> bool(scorer.anomaly_score(X + 90).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "variance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    }
    fitted = ("mean", "components", "variances")
    rough_scale = True

    def __init__(self, *, variance: float = 0.97) -> None:
        self.variance = variance

    def fit(self, X: Features) -> Self:
        """Learn components and the variances along them; see `Scorer.fit`."""
        refuse_too_large(self, X)
        analysis = principal_components(X, keep=float(self.variance))
        self.mean_, self.components_, self.analysis_, self._spectrum = analysis
        squared_sum = np.zeros(len(self.components_))
        for _, block in matrix_blocks(X):
            coordinates, _ = project(block, analysis)
            squared_sum += (coordinates**2).sum(axis=0)
        self.variances_ = squared_sum / (matrix_shape(X)[0] - 1)
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of the components; see `Scorer.fit_bytes`."""
        return projected_bytes(shapes)

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Negative log likelihood; see `Scorer.anomaly_score`."""
        components = Components(self.mean_, self.components_)
        return block_scores(
            X, lambda block: negative_log_density(project(block, components)[0], self.variances_)
        )

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the spectrum of all images; see `Scorer.held_out`."""
        if self._spectrum is None:
            yield from super().held_out(X, folds, maps=maps)
            return
        reduced, fold = Reduced(one_layer(X), self._spectrum), copy.copy(self)
        for members in folds:
            left = reduced.without(members)
            count = left.kept(float(self.variance))
            fold.variances_ = left.values[:count] / (left.n_images - 1)
            coordinates = left.coordinates(reduced, members, count)
            scores = negative_log_density(coordinates, fold.variances_)
            yield Judged(members, fold.on_scale_of(self, scores), None)

    def on_scale_of(self, reference: Self, scores: np.ndarray) -> np.ndarray:
        """The constant of all components, and the mean square of one; see `Scorer.on_scale_of`.

        Fewer images have fewer components, each of which adds to the squares.
        """
        squares = (scores - log_norm(self.variances_)) / len(self.variances_)
        return log_norm(reference.variances_) + len(reference.variances_) * squares


def negative_log_density(coordinates: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Of a Gaussian along its principal components.

    Parameters
    ----------
    coordinates
        float64, (n_images, n_components).
    variances
        float64, (n_components,).

    Returns
    -------
    ndarray
        float64, (n_images,).
    """
    return (coordinates**2 / variances).sum(axis=1) / 2 + log_norm(variances)


def log_norm(variances: np.ndarray) -> float:
    """Logarithm of the integral of the Gaussian without its norm, ½ Σ log 2πλ."""
    return float(np.log(2 * np.pi * variances).sum()) / 2
