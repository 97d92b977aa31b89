"""DFKDE: principal components, then a Gaussian kernel density estimate."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Judged, Scorer
from defectbench.scorers.components import Components, principal_components, project
from defectbench.scorers.layers import Features, number_of_images
from defectbench.scorers.leave_out import Reduced
from defectbench.scorers.matrices import block_scores, matrix_shape, one_layer
from defectbench.scorers.sizes import projected_bytes, refuse_too_large

SCORE_BLOCK = 1024


class PcaKde(Scorer):
    """Negative log density of an image's reduced feature among the training images'.

    The features are reduced to principal components, divided by the largest L2 norm of a reduced
    training feature, and compared with a Gaussian kernel density estimate with Scott's bandwidth
    n^(-1/(d+4)) and the unbiased covariance. Deep Feature Kernel Density Estimation of Akcay et
    al., "Anomalib", ICIP 2022.

    The published score, `anomaly_probability` of the log density, ranks images alike but rounds
    to 1 below a log density of about -725, where outliers become ties; the log density does not.

    When to use it: on pooled vectors, when speed and size matter most. It costs one
    eigendecomposition and microseconds per image, and has no map.

    Parameters
    ----------
    components
        Number of principal components.

    Attributes
    ----------
    mean_
        float64, (n_dimensions,), of the training features.
    components_
        float32, (components, n_dimensions).
    max_norm_
        Largest L2 norm of a reduced training feature.
    whitening_
        float64, (components, components): maps scaled features to where the kernel is the
        standard normal density.
    points_
        float64, (n_images, components): the training images there.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8))
    >>> scorer = PcaKde(components=2).fit(X)
    >>> bool(scorer.anomaly_score(X + 9).min() > scorer.anomaly_score(X).max())
    True
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "components": {"type": "integer", "minimum": 1}
    }
    fitted = ("mean", "components", "max_norm", "whitening", "points")

    def __init__(self, *, components: int = 16) -> None:
        self.components = components

    def fewest_images(self, n_layers: int = 1) -> int:
        """One to be centred, one for the covariance to have full rank; see `Scorer`."""
        return self.components + 2

    def fit(self, X: Features) -> Self:
        """Learn components, scale and density; see `Scorer.fit`."""
        n_images, _ = matrix_shape(X)
        if n_images < self.fewest_images():
            raise InputError(
                f"components: {self.components} need at least {self.fewest_images()} training "
                f"images, there are {n_images}"
            )
        refuse_too_large(self, X)
        analysis = principal_components(X, keep=self.components)
        self.mean_, self.components_, self.analysis_, self._spectrum = analysis
        self._learn_density(self._reduce(X))
        return self

    def _learn_density(self, reduced: np.ndarray) -> None:
        """Learn scale and density of coordinates on the components."""
        # as published; it only adds a constant to the log density and changes no ranking
        self.max_norm_ = np.sqrt((reduced**2).sum(axis=1).max())
        scaled = reduced / self.max_norm_
        bandwidth = len(reduced) ** (-1 / (self.components + 4))
        covariance = np.atleast_2d(np.cov(scaled, rowvar=False)) * bandwidth**2
        self.whitening_ = np.linalg.inv(np.linalg.cholesky(covariance))
        self.points_ = scaled @ self.whitening_.T

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """That of the components, and of some exponents per image; see `Scorer.fit_bytes`."""
        exponents = 3 * 8 * min(SCORE_BLOCK, shapes[0][0]) * shapes[0][0]
        return projected_bytes(shapes, self.components) + exponents

    def log_density(self, X: Features) -> np.ndarray:
        """Natural logarithm of the estimated density: float64, (n_images,)."""
        return self._log_density(self._reduce(X))

    def _log_density(self, reduced: np.ndarray) -> np.ndarray:
        """The same of coordinates on the components."""
        queries = reduced / self.max_norm_ @ self.whitening_.T
        dimensions = len(self.whitening_)
        log_norm = (
            np.log(np.diag(self.whitening_)).sum()
            - dimensions / 2 * np.log(2 * np.pi)
            - np.log(len(self.points_))
        )
        blocks = range(0, len(queries), SCORE_BLOCK)
        sums = [self._log_kernel_sum(queries[start : start + SCORE_BLOCK]) for start in blocks]
        return log_norm + np.concatenate(sums)

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Negative log density; see `Scorer.anomaly_score`."""
        return -self.log_density(X)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """From the spectrum of all images; see `Scorer.held_out`."""
        if self._spectrum is None:
            yield from super().held_out(X, folds, maps=maps)
            return
        reduced, fold = Reduced(one_layer(X), self._spectrum), copy.copy(self)
        for members in folds:
            left = reduced.without(members)
            count = left.kept(self.components)
            rest = np.setdiff1d(np.arange(number_of_images(X)), members)
            fold._learn_density(left.coordinates(reduced, rest, count))
            density = fold._log_density(left.coordinates(reduced, members, count))
            yield Judged(members, fold.on_scale_of(self, -density), None)

    def on_scale_of(self, reference: Self, scores: np.ndarray) -> np.ndarray:
        """The density of features divided by m is m^d times theirs; see `Scorer.on_scale_of`."""
        shift = np.log(self.max_norm_) - np.log(reference.max_norm_)
        return scores + len(self.components_) * shift

    def _reduce(self, X: Features) -> np.ndarray:
        """Coordinates on the components: float64, (n_images, components)."""
        components = Components(self.mean_, self.components_)
        return block_scores(X, lambda block: project(block, components)[0])

    def _log_kernel_sum(self, queries: np.ndarray) -> np.ndarray:
        """Logarithm of the summed kernels, without underflow far from every training image."""
        exponents = np.empty((len(queries), len(self.points_)))
        for column, point in enumerate(self.points_):
            exponents[:, column] = -((queries - point) ** 2).sum(axis=1) / 2
        largest = exponents.max(axis=1)
        return largest + np.log(np.exp(exponents - largest[:, None]).sum(axis=1))


def anomaly_probability(log_density: np.ndarray) -> np.ndarray:
    """Published DFKDE score, 1 / (1 + exp(0.05 (log density - 12))): float64, 0 to 1."""
    return 1 / (1 + np.exp(0.05 * (np.asarray(log_density, np.float64) - 12)))
