"""FRE: squared error between a feature and its reconstruction from principal components."""

from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Scorer, check_features
from defectbench.scorers.pca import Components, principal_components, project


class PcaFre(Scorer):
    """Feature reconstruction error Σ(x - x̂)².

    The components are orthonormal, so the error is ‖x-μ‖² - ‖W(x-μ)‖² and nothing is
    reconstructed. Ndiour, Ahuja, Genc, Tickoo, "FRE: A Fast Method For Anomaly Detection And
    Segmentation", BMVC 2023.

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

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8)) * [9, 9, 1, 0, 0, 0, 0, 0]
    >>> scorer = PcaFre(variance=0.97).fit(X)
    >>> len(scorer.components_)
    2
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "variance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    }
    fitted = ("mean", "components")

    def __init__(self, *, variance: float = 0.97) -> None:
        self.variance = variance

    def fit(self, X: np.ndarray) -> Self:
        """Learn mean and components; see `Scorer.fit`."""
        check_features(X)
        self.mean_, self.components_ = principal_components(X, keep=float(self.variance))
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Squared reconstruction error; see `Scorer.anomaly_score`."""
        check_features(X)
        coordinates, squared_norm = project(X, Components(self.mean_, self.components_))
        # rounding may leave a perfectly reconstructed feature just below 0
        return np.maximum(squared_norm - (coordinates**2).sum(axis=1), 0)
