"""Kernels and distances between images, and principal components that they give."""

from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.layers import NO_VARIANCE
from defectbench.scorers.linear_algebra import BLOCK, eigh


class KernelComponents(NamedTuple):
    """Result of `kernel_components`.

    Attributes
    ----------
    row_means
        float64, (n_images,), of the training images' kernel matrix.
    directions
        float64, (n_images, n_components): unit eigenvectors of the centred kernel matrix, each
        divided by the root of its eigenvalue.
    """

    row_means: np.ndarray
    directions: np.ndarray


def kernel_components(kernel: np.ndarray, share: float) -> KernelComponents:
    """Leading principal components in the kernel's feature space, centred there.

    Parameters
    ----------
    kernel
        float64, (n_images, n_images), of the training images.
    share
        Of the variance that the components keep; the smallest number that reaches it.

    Raises
    ------
    InputError
        If there is no variance.
    """
    row_means = kernel.mean(axis=1)
    largest = max(kernel.max(), -kernel.min())
    centred = kernel - row_means
    centred -= row_means[:, None]
    centred += row_means.mean()
    eigenvalues, vectors = eigh(centred)
    noise = np.finfo(np.float64).eps * len(kernel)
    rank = int((eigenvalues > max(eigenvalues[0], largest) * noise).sum())
    if rank == 0:
        raise InputError(NO_VARIANCE)
    reached = np.cumsum(eigenvalues) >= share * eigenvalues.sum()
    keep = min(int(reached.argmax()) + 1, rank)
    return KernelComponents(row_means, vectors[:, :keep] / np.sqrt(eigenvalues[:keep]))


def reconstruction_error(
    own: np.ndarray, kernel: np.ndarray, components: KernelComponents
) -> np.ndarray:
    """Squared distance in feature space between images and their reconstruction.

    With the inner products of X itself it is the error of linear principal components.

    Parameters
    ----------
    own
        float64, (n_images,), kernel of each image with itself.
    kernel
        float64, (n_images, n_training_images).
    components
        Of the training images.

    Returns
    -------
    ndarray
        float64, (n_images,).
    """
    row_means, directions = components
    means = kernel.mean(axis=1)
    centred_own = own - 2 * means + row_means.mean()
    centred = kernel - means[:, None] - row_means + row_means.mean()
    return np.maximum(centred_own - ((centred @ directions) ** 2).sum(axis=1), 0)


def squared_distances(X: np.ndarray, points: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of every row of `X` to every one of `points`.

    Parameters
    ----------
    X
        (n_images, n_dimensions).
    points
        (n_points, n_dimensions).
    origin
        float64, (n_dimensions,), near the points: both are centred there first, lest a large mean
        drown small distances in rounding.

    Returns
    -------
    ndarray
        float64, (n_images, n_points).
    """
    squared = np.zeros((len(X), len(points)))
    for start in range(0, X.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        x, y = X[:, columns] - origin[columns], points[:, columns] - origin[columns]
        part = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
        part -= 2 * x @ y.T
        squared += part
    return np.maximum(squared, 0, out=squared)
