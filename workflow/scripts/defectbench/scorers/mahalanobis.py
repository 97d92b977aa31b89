"""Mahalanobis distance with a shrunk covariance."""

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features
from defectbench.scorers.linear_algebra import (
    Components,
    Spectrum,
    analysis_bytes,
    directions,
    project,
    projection_bytes,
    spectrum,
    squared_norms,
)
from defectbench.scorers.matrices import block_scores, matrix_blocks, matrix_shape
from defectbench.scorers.sizes import refuse_too_large


class Mahalanobis(Scorer):
    """Squared Mahalanobis distance (x-μ)ᵀ Σ⁻¹ (x-μ), Σ shrunk by Ledoit and Wolf's rule.

    Rippel, Mertens, Merhof, "Modeling the Distribution of Normal Data in Pre-Trained Deep Features
    for Anomaly Detection", ICPR 2020; Ledoit, Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004.

    Σ = (1-s) S + s m I, S the covariance and m the mean variance, is diagonal along the principal
    components: where there are fewer images than dimensions, all other directions weigh 1 / (s m)
    alike (Woodbury's identity), and no matrix of all dimensions is ever formed.

    When to use it: on pooled vectors, as a strong baseline without a parameter, also with few
    images. It costs one eigendecomposition, and a model that grows with the square of the
    dimensions (2 MB for 512, 34 MB for 2048) or with dimensions × images, whichever is less.

    Parameters
    ----------
    None.

    Attributes
    ----------
    mean_
        float64, (n_dimensions,), of the training features.
    directions_
        (n_directions, n_dimensions): principal components, float64 where they are as many as
        dimensions, else float32.
    weights_
        float64, (n_directions,): inverse variances in Σ along them.
    rest_weight_
        Inverse variance along all other directions; 0 if there are none.
    shrinkage_
        s, the share of the scaled identity in Σ.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8))
    >>> scorer = Mahalanobis().fit(X)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {}
    fitted = ("mean", "directions", "weights", "rest_weight", "shrinkage")

    def fit(self, X: Features) -> Self:
        """Learn mean and covariance; see `Scorer.fit`."""
        refuse_too_large(self, X)
        n_images, n_dimensions = matrix_shape(X)
        found = spectrum(X)
        self.mean_ = found.mean
        self.shrinkage_ = shrinkage(X, found)
        mean_variance = found.values.sum() / n_images / n_dimensions
        shrunk = (1 - self.shrinkage_) * found.values[: found.rank] / n_images
        self.weights_ = 1 / (shrunk + self.shrinkage_ * mean_variance)
        spanned = found.rank == n_dimensions or self.shrinkage_ == 0
        self.rest_weight_ = 0.0 if spanned else 1 / (self.shrinkage_ * mean_variance)
        # float32 is enough beside a rest, but not where the smallest variance has its own weight
        dtype = np.float32 if found.wide else np.float64
        self.directions_ = directions(X, found, found.rank, dtype)
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of all principal components; see `Scorer.fit_bytes`."""
        sizes = [(shape[0], prod(shape[1:])) for shape in shapes]
        return sum(analysis_bytes(*size) + projection_bytes(*size, min(size)) for size in sizes)

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Squared Mahalanobis distance; see `Scorer.anomaly_score`."""
        components = Components(self.mean_, self.directions_)

        def score(block: np.ndarray) -> np.ndarray:
            coordinates, squared_norm = project(block, components)
            squared = coordinates**2
            rest = np.maximum(squared_norm - squared.sum(axis=1), 0)
            return squared @ self.weights_ + self.rest_weight_ * rest

        return block_scores(X, score)


def shrinkage(X: Features, found: Spectrum) -> float:
    """Ledoit and Wolf's share of the scaled identity, 0 to 1, without the covariance.

    Its squared Frobenius norm is that of the eigenvalues, and the fourth powers of the images'
    distances from the mean are what the rule asks for beside it ("A well-conditioned estimator for
    large-dimensional covariance matrices", 2004, section 3.2).

    Parameters
    ----------
    X
        One layer.
    found
        Its spectrum.
    """
    n_images, n_dimensions = matrix_shape(X)
    of_covariance = (found.values**2).sum() / n_images**2
    mean_variance = found.values.sum() / n_images / n_dimensions
    fourth = 0.0
    for _, block in matrix_blocks(X):
        fourth += (squared_norms(block, found.mean) ** 2).sum()
    dispersion = of_covariance / n_dimensions - mean_variance**2
    error = (fourth / n_images - of_covariance) / (n_images * n_dimensions)
    # of one dimension, or where all variances are equal, there is nothing to shrink
    return float(min(max(error, 0) / dispersion, 1)) if dispersion > 0 else 0.0
