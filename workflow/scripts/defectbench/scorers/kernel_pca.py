"""Principal components and reconstruction error where only inner products are known."""

from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError


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
    centred = kernel - row_means - row_means[:, None] + row_means.mean()
    eigenvalues, vectors = np.linalg.eigh(centred)
    eigenvalues, vectors = eigenvalues[::-1].clip(min=0), vectors[:, ::-1]
    noise = np.finfo(np.float64).eps * len(kernel)
    rank = int((eigenvalues > max(eigenvalues[0], np.abs(kernel).max()) * noise).sum())
    if rank == 0:
        raise InputError("all training features are equal: there is no variance to analyse")
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
