"""Principal components, kernels and distances of features, in float64 without whole copies."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError

BLOCK = 4096
"""Columns handled at once in float64, so that a float32 matrix is never copied whole."""

IMAGES = 256
"""Images whose residuals are computed at once."""


class Components(NamedTuple):
    """Result of `principal_components`.

    Attributes
    ----------
    mean
        float64, (n_dimensions,).
    components
        float32, (n_components, n_dimensions), orthonormal rows, largest variance first.
    """

    mean: np.ndarray
    components: np.ndarray


def principal_components(X: np.ndarray, *, keep: int | float) -> Components:
    """Leading principal components of centred data.

    The eigenvectors of the smaller one of X Xᵀ and Xᵀ X, accumulated in float64, give the same
    components as a singular value decomposition of X at a fraction of its time and memory.

    Parameters
    ----------
    X
        (n_images, n_dimensions).
    keep
        An int is the number of components. A float below 1 is a share of the variance: the
        smallest number of components whose cumulative share exceeds it, as scikit-learn counts.

    Raises
    ------
    InputError
        If the features are constant or have fewer independent directions than asked for.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    n_images, n_dimensions = X.shape
    wide = n_images <= n_dimensions  # X Xᵀ has n_images rows, Xᵀ X n_dimensions: take the smaller
    eigenvalues, vectors = np.linalg.eigh(inner_products(X, mean) if wide else _scatter(X, mean))
    eigenvalues, vectors = eigenvalues[::-1].clip(min=0), vectors[:, ::-1]
    rank = int((eigenvalues > _rounding_noise(eigenvalues, mean, n_images)).sum())
    if rank == 0:
        raise InputError("all training features are equal: there is no variance to analyse")
    if isinstance(keep, float):
        share = np.cumsum(eigenvalues / eigenvalues.sum())
        keep = min(int(np.searchsorted(share, keep, side="right")) + 1, rank)
    if keep > rank:
        raise InputError(
            f"components: {keep} are asked for, {n_images} training images of {n_dimensions} "
            f"dimensions have {rank} independent ones"
        )
    if wide:
        components = np.empty((keep, n_dimensions), np.float32)
        # an eigenvector u of X Xᵀ gives the component Xᵀ u / √λ
        directions = vectors[:, :keep] / np.sqrt(eigenvalues[:keep])
        for columns, block in _centred_blocks(X, mean):
            components[:, columns] = directions.T @ block
    else:
        components = np.ascontiguousarray(vectors[:, :keep].T, np.float32)
    # an eigenvector's sign is arbitrary: make the largest entry of each component positive
    for component in components:
        component *= np.sign(component[np.abs(component).argmax()])
    return Components(mean, components)


def project(X: np.ndarray, components: Components) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of `X` on the components, and its squared distance from the mean.

    Returns
    -------
    coordinates : ndarray
        float64, (n_images, n_components).
    squared_norm : ndarray
        float64, (n_images,).
    """
    coordinates = np.zeros((len(X), len(components.components)))
    squared_norm = np.zeros(len(X))
    for columns, block in _centred_blocks(X, components.mean):
        coordinates += block @ components.components[:, columns].T.astype(np.float64)
        squared_norm += np.einsum("ij,ij->i", block, block)
    return coordinates, squared_norm


def squared_residual(X: np.ndarray, components: Components) -> np.ndarray:
    """Squared error between feature maps and their reconstruction, summed over the channels.

    Parameters
    ----------
    X
        Maps, (n_images, channels, height, width).
    components
        Of the flattened maps.

    Returns
    -------
    ndarray
        float64, (n_images, height, width), in squared units of the features.
    """
    n_images, channels, *grid = X.shape
    positions = int(np.prod(grid))
    step = max(1, BLOCK // positions)
    error = np.zeros((n_images, positions))
    for start in range(0, n_images, IMAGES):
        rows = X[start : start + IMAGES].reshape(-1, channels * positions)
        coordinates, _ = project(rows, components)
        for channel in range(0, channels, step):
            columns = slice(channel * positions, (channel + step) * positions)
            residual = rows[:, columns] - components.mean[columns]
            residual -= coordinates @ components.components[:, columns].astype(np.float64)
            residual = residual.reshape(len(rows), -1, positions)
            error[start : start + IMAGES] += np.einsum("icp,icp->ip", residual, residual)
    return error.reshape(n_images, *grid)


def _centred_blocks(X: np.ndarray, mean: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, X.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        yield columns, X[:, columns] - mean[columns]


def inner_products(X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Inner products of the centred images: (n_images, n_images)."""
    gram = np.zeros((len(X), len(X)))
    for _, block in _centred_blocks(X, mean):
        gram += block @ block.T
    return gram


def _scatter(X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Inner products of the centred dimensions: (n_dimensions, n_dimensions)."""
    scatter = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), BLOCK):
        block = X[start : start + BLOCK] - mean
        scatter += block.T @ block
    return scatter


def _rounding_noise(eigenvalues: np.ndarray, mean: np.ndarray, n_images: int) -> float:
    """Eigenvalues up to here are rounding: of the decomposition, or of the subtracted mean."""
    eps = np.finfo(np.float64).eps
    of_mean = n_images * (16 * eps) ** 2 * float(mean @ mean)
    return max(eigenvalues[0] * len(eigenvalues) * eps, of_mean)


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


def squared_distances(X: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of every row of `X` to every one of `points`.

    Parameters
    ----------
    X
        (n_images, n_dimensions).
    points
        (n_points, n_dimensions).

    Returns
    -------
    ndarray
        float64, (n_images, n_points). Both are centred first, lest a large mean drown small
        distances in rounding.
    """
    squared = np.zeros((len(X), len(points)))
    for start in range(0, X.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        origin = points[:, columns].mean(axis=0, dtype=np.float64)
        x, y = X[:, columns] - origin, points[:, columns] - origin
        squared += (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squared, 0)
