"""Mahalanobis distance with a shrunk covariance."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.components import (
    Components,
    analysis_bytes,
    directions,
    project,
    projection_bytes,
    spectrum,
)
from defectbench.scorers.layers import Features
from defectbench.scorers.leave_out import Reduced
from defectbench.scorers.linear_algebra import squared_norms
from defectbench.scorers.matrices import block_scores, matrix_blocks, matrix_shape, one_layer
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
        self._spectrum = found = spectrum(X)
        norms = np.concatenate([squared_norms(block, found.mean) for _, block in matrix_blocks(X)])
        values = found.values[: found.rank]
        self.mean_ = found.mean
        self.shrinkage_ = shrinkage(values, norms, n_dimensions)
        self.weights_, self.rest_weight_ = weights(values, n_images, n_dimensions, self.shrinkage_)
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
        return block_scores(
            X,
            lambda block: squared_distance(
                *project(block, components), self.weights_, self.rest_weight_
            ),
        )

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the spectrum of all images; see `Scorer.held_out`."""
        reduced, (n_images, n_dimensions) = Reduced(one_layer(X), self._spectrum), matrix_shape(X)
        for members in folds:
            left = reduced.without(members)
            rest = np.setdiff1d(np.arange(n_images), members)
            norms = left.squared_norms(reduced, rest)
            values = left.values[: left.rank]
            shrunk = shrinkage(values, norms, n_dimensions)
            own = weights(values, left.n_images, n_dimensions, shrunk)
            scores = [
                squared_distance(*left.project(block, left.rank), *own)
                for _, block in reduced.blocks(members)
            ]
            yield Judged(members, np.concatenate(scores), None)


def weights(
    values: np.ndarray, n_images: int, n_dimensions: int, shrinkage: float
) -> tuple[np.ndarray, float]:
    """Inverse variances in the shrunk covariance: along the components, and along all others.

    Parameters
    ----------
    values
        Squared sums along the components, all above 0.
    n_images, n_dimensions
        Shape of the training features.
    shrinkage
        Share of the scaled identity.
    """
    mean_variance = values.sum() / n_images / n_dimensions
    along = 1 / ((1 - shrinkage) * values / n_images + shrinkage * mean_variance)
    spanned = len(values) == n_dimensions or shrinkage == 0
    return along, 0.0 if spanned else 1 / (shrinkage * mean_variance)


def squared_distance(
    coordinates: np.ndarray, squared_norm: np.ndarray, weights: np.ndarray, rest_weight: float
) -> np.ndarray:
    """Weighted squares of coordinates, and of what is left of the squared norm: (n_images,)."""
    squared = coordinates**2
    rest = np.maximum(squared_norm - squared.sum(axis=1), 0)
    return squared @ weights + rest_weight * rest


def shrinkage(values: np.ndarray, norms: np.ndarray, n_dimensions: int) -> float:
    """Ledoit and Wolf's share of the scaled identity, 0 to 1, without the covariance.

    Its squared Frobenius norm is that of the eigenvalues, and the fourth powers of the images'
    distances from the mean are what the rule asks for beside it ("A well-conditioned estimator for
    large-dimensional covariance matrices", 2004, section 3.2).

    Parameters
    ----------
    values
        Squared sums along the principal components.
    norms
        Squared distance of each image from the mean.
    n_dimensions
        Of the features.
    """
    n_images = len(norms)
    of_covariance = (values**2).sum() / n_images**2
    mean_variance = values.sum() / n_images / n_dimensions
    dispersion = of_covariance / n_dimensions - mean_variance**2
    error = ((norms**2).mean() - of_covariance) / (n_images * n_dimensions)
    # of one dimension, or where all variances are equal, there is nothing to shrink
    return float(min(max(error, 0) / dispersion, 1)) if dispersion > 0 else 0.0
