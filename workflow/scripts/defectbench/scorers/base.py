"""What every scorer offers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError


class Scorer(ABC):
    """Anomaly scorer, fitted on features of defect-free images alone.

    The constructor takes keyword-only parameters and only stores them; fitted attributes end in
    an underscore.
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]]
    """JSON schema of each constructor parameter, for checking a config."""

    fitted: ClassVar[tuple[str, ...]]
    """Names of the fitted attributes, which are all that scoring needs."""

    @property
    def fewest_images(self) -> int:
        """Training images without which the scorer cannot be fitted."""
        return 2

    @abstractmethod
    def fit(self, X: np.ndarray) -> Self:
        """Learn what defect-free images look like.

        Parameters
        ----------
        X
            float32 or float64, (n_images, n_dimensions).

        Raises
        ------
        InputError
            If the features are not finite, constant, or too few for the parameters.
        """

    @abstractmethod
    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Anomaly score of each image, higher for more anomalous ones.

        Parameters
        ----------
        X
            float32 or float64, (n_images, n_dimensions).

        Returns
        -------
        ndarray
            float64, (n_images,).
        """

    def held_out_score(self, X: np.ndarray, reference: Self) -> np.ndarray:
        """Anomaly score of images that were left out of the fit, on the scale of `reference`.

        Scores of several folds become one distribution, from which a threshold for `reference` is
        taken; a scorer whose scale depends on what it was fitted on removes that here.

        Parameters
        ----------
        X
            float32 or float64, (n_images, n_dimensions).
        reference
            The scorer fitted on all training images.

        Returns
        -------
        ndarray
            float64, (n_images,).
        """
        return self.anomaly_score(X)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Fitted attributes by name, for storage."""
        return {name: np.asarray(getattr(self, f"{name}_")) for name in self.fitted}

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Restore the fitted attributes made by `to_arrays`."""
        for name in self.fitted:
            setattr(self, f"{name}_", arrays[name])
        return self


def check_features(X: np.ndarray) -> None:
    """Refuse features that no scorer can use.

    Raises
    ------
    InputError
        If `X` is not a matrix with rows, or has NaN or infinite entries.
    """
    if X.ndim != 2 or len(X) == 0:
        raise InputError(f"features have shape {X.shape}, expected images by dimensions")
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise InputError(f"features of image {int(np.argmin(finite))} are NaN or infinite")
