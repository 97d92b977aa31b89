"""DFM: negative log likelihood of principal components under a Gaussian."""

from typing import Any, ClassVar, Self

import numpy as np

from defectbench.scorers.base import Features, Scorer
from defectbench.scorers.linear_algebra import Components, principal_components, project
from defectbench.scorers.matrices import as_matrix


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

    def __init__(self, *, variance: float = 0.97) -> None:
        self.variance = variance

    def fit(self, X: Features) -> Self:
        """Learn components and the variances along them; see `Scorer.fit`."""
        matrix = as_matrix(X)
        analysis = principal_components(matrix, keep=float(self.variance))
        self.mean_, self.components_ = analysis
        coordinates, _ = project(matrix, analysis)
        self.variances_ = (coordinates**2).sum(axis=0) / (len(matrix) - 1)
        return self

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Negative log likelihood; see `Scorer.anomaly_score`."""
        coordinates, _ = project(as_matrix(X), Components(self.mean_, self.components_))
        constant = np.log(2 * np.pi * self.variances_).sum()
        return ((coordinates**2 / self.variances_).sum(axis=1) + constant) / 2
