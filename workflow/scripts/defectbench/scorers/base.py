"""What every scorer offers, and the features that it takes."""

import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from defectbench.errors import InputError

Features = np.ndarray | list[np.ndarray]
"""Features of one layer, or a list with those of several layers of the same images.

Each layer is float32 or float64: vectors (n_images, n_dimensions), or maps (n_images, channels,
height, width).
"""


class Scorer(ABC):
    """Anomaly scorer, fitted on features of defect-free images alone.

    The constructor takes keyword-only parameters and only stores them; fitted attributes end in
    an underscore: arrays, numbers, or lists of arrays with one entry per layer.
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]]
    """JSON schema of each constructor parameter, for checking a config."""

    fitted: ClassVar[tuple[str, ...]]
    """Names of the fitted attributes, which are all that scoring needs."""

    localizes: ClassVar[bool] = False
    """Whether the scorer says where an anomaly is, if the features have a place."""

    draws: ClassVar[bool] = False
    """Whether fitting draws random numbers; then the constructor takes `seed`."""

    @property
    def fewest_images(self) -> int:
        """Training images without which the scorer cannot be fitted."""
        return 2

    @abstractmethod
    def fit(self, X: Features) -> Self:
        """Learn what defect-free images look like.

        Parameters
        ----------
        X
            Features of the training images.

        Raises
        ------
        InputError
            If the features are not finite, constant, or too few for the parameters.
        """

    @abstractmethod
    def anomaly_score(self, X: Features) -> np.ndarray:
        """Anomaly score of each image, higher for more anomalous ones.

        Parameters
        ----------
        X
            Features of the same layers as in `fit`.

        Returns
        -------
        ndarray
            float64, (n_images,).
        """

    def scale_shift(self, reference: Self) -> float:
        """What to add to this scorer's scores for the scale of `reference`.

        Scores of several folds become one distribution, from which a threshold for `reference` is
        taken; a scorer whose scale depends on what it was fitted on removes that here.

        Parameters
        ----------
        reference
            The scorer fitted on all training images.
        """
        return 0.0

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Anomaly of each place of each image, higher where it is more anomalous.

        Returns
        -------
        ndarray
            float32, (n_images, height, width).

        Raises
        ------
        InputError
            If the scorer does not localize, or the features have no place.
        """
        raise InputError(f"{type(self).__name__} scores whole images and has no anomaly map")

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both of the same images, as `anomaly_score` and `anomaly_map` give them.

        A scorer whose score and map share most of the work does that once here.
        """
        return self.anomaly_score(X), self.anomaly_map(X)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Fitted attributes by name, for storage; a list's arrays get numbered names."""
        arrays = {}
        for name in self.fitted:
            value = getattr(self, f"{name}_")
            if isinstance(value, list):
                arrays |= {f"{name}_{number}": array for number, array in enumerate(value)}
            else:
                arrays[name] = np.asarray(value)
        return arrays

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Restore the fitted attributes made by `to_arrays`."""
        for name in self.fitted:
            value: Any = arrays.get(name)
            if value is None:
                numbered = (f"{name}_{number}" for number in range(len(arrays)))
                value = [arrays[key] for key in numbered if key in arrays]
            setattr(self, f"{name}_", value)
        return self


def layer_list(X: Features) -> list[np.ndarray]:
    """Features as a list with one array per layer, checked by `check_features`."""
    check_features(X)
    return X if isinstance(X, list) else [X]


def map_list(X: Features) -> list[np.ndarray]:
    """Like `layer_list`, for scorers that need maps.

    Raises
    ------
    InputError
        If a layer holds vectors, or the features are unusable otherwise.
    """
    layers = layer_list(X)
    for layer in layers:
        if layer.ndim != 4:
            raise InputError(
                f"features of shape {layer.shape} have no place: choose a layer with maps (images, "
                "channels, height, width)"
            )
    return layers


def as_matrix(X: Features) -> np.ndarray:
    """Features of one layer as a matrix (n_images, n_dimensions), maps flattened.

    Raises
    ------
    InputError
        If there are several layers, or the features are unusable otherwise.
    """
    layers = layer_list(X)
    if len(layers) > 1:
        raise InputError(f"this scorer reads one layer, {len(layers)} were given")
    return layers[0].reshape(len(layers[0]), -1)


def has_maps(X: Features) -> bool:
    """Whether the features of every layer have a place in the image."""
    return all(layer.ndim == 4 for layer in (X if isinstance(X, list) else [X]))


def take_images(X: Features, rows: np.ndarray | list[bool]) -> Features:
    """Features of some images, by row numbers or a mask."""
    return [layer[rows] for layer in X] if isinstance(X, list) else X[rows]


def number_of_images(X: Features) -> int:
    """Images that the features belong to."""
    return len(X[0] if isinstance(X, list) else X)


def check_features(X: Features) -> None:
    """Refuse features that no scorer can use.

    Raises
    ------
    InputError
        If a layer is neither vectors nor maps, has no images or others than the first one, or
        has NaN or infinite entries.
    """
    layers = X if isinstance(X, list) else [X]
    for layer in layers:
        if layer.ndim not in (2, 4) or layer.size == 0:
            raise InputError(
                f"features have shape {layer.shape}, expected images by dimensions or images by "
                "channels, height and width"
            )
        if len(layer) != len(layers[0]):
            raise InputError(f"layers have features of {len(layers[0])} and {len(layer)} images")
        finite = np.array([np.isfinite(image).all() for image in layer])
        if not finite.all():
            raise InputError(f"features of image {int(np.argmin(finite))} are NaN or infinite")


def check_varied(layers: list[np.ndarray]) -> None:
    """Refuse training features that are all equal.

    Raises
    ------
    InputError
        If every image of every layer equals the first one.
    """
    if all((image == layer[0]).all() for layer in layers for image in layer):
        raise InputError("all training features are equal: there is no variance to analyse")


def refuse_beyond_memory(needed: int, remedy: str) -> None:
    """Refuse work that cannot fit, before it is begun.

    Parameters
    ----------
    needed
        Bytes.
    remedy
        What to change.

    Raises
    ------
    InputError
        If the machine has less memory than that.
    """
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > present:
        raise InputError(
            f"{needed / 1e9:.1f} GB of memory are needed, this machine has {present / 1e9:.1f} GB: "
            f"{remedy}"
        )
