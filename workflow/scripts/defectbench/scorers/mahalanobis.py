"""Mahalanobis distance with a shrunk covariance."""

from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Features, Scorer, check_varied
from defectbench.scorers.matrices import as_matrix

LARGEST = 8192
"""Dimensions whose covariance takes half a gigabyte."""


class Mahalanobis(Scorer):
    """Squared Mahalanobis distance (x-μ)ᵀ Σ⁻¹ (x-μ), Σ shrunk by Ledoit and Wolf's rule.

    Rippel, Mertens, Merhof, "Modeling the Distribution of Normal Data in Pre-Trained Deep Features
    for Anomaly Detection", ICPR 2020; Ledoit, Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004.

    When to use it: on pooled vectors, as a strong baseline without a parameter, also with few
    images. It costs one inversion and a model that grows with the square of the dimensions (2 MB
    for 512, 34 MB for 2048).

    Parameters
    ----------
    None.

    Attributes
    ----------
    mean_
        float64, (n_dimensions,), of the training features.
    precision_
        float64, (n_dimensions, n_dimensions): Σ⁻¹.
    shrinkage_
        Share of the scaled identity in Σ.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8))
    >>> scorer = Mahalanobis().fit(X)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {}
    fitted = ("mean", "precision", "shrinkage")

    def fit(self, X: Features) -> Self:
        """Learn mean and covariance; see `Scorer.fit`."""
        from sklearn.covariance import LedoitWolf  # not when a config is merely checked: 1 s

        matrix = as_matrix(X)
        check_varied([matrix])
        if matrix.shape[1] > LARGEST:
            raise InputError(
                f"a covariance of {matrix.shape[1]} dimensions is too large (at most {LARGEST}): "
                "choose a pooled layer"
            )
        estimate = LedoitWolf().fit(matrix.astype(np.float64))
        self.mean_, self.precision_ = estimate.location_, estimate.precision_
        self.shrinkage_ = estimate.shrinkage_
        return self

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Squared Mahalanobis distance; see `Scorer.anomaly_score`."""
        centred = as_matrix(X) - self.mean_
        return np.einsum("ij,ij->i", centred @ self.precision_, centred)
