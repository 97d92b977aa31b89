"""Principal components of features, in float64, block by block without whole copies."""

from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.memory import BLOCK_BYTES, memory_limit
from defectbench.scorers.layers import NO_VARIANCE, Features, in_one_block, reading_bytes
from defectbench.scorers.linear_algebra import (
    BLOCK,
    SMALL,
    SUMS_BYTES,
    centred_blocks,
    eigh,
    inner_products,
    mean_image,
    scatter_matrix,
)
from defectbench.scorers.matrices import matrix_blocks, matrix_shape
from defectbench.scorers.randomised_pca import leading_directions
from defectbench.scorers.rows_on_disk import LARGEST, Rows, new_rows, row_groups

IMAGES = 256
"""Images whose residuals are computed at once."""


class Spectrum(NamedTuple):
    """Eigenvalues and eigenvectors of the smaller one of X Xᵀ and Xᵀ X, X centred.

    Attributes
    ----------
    mean
        float64, (n_dimensions,).
    values
        float64, (side,), descending, none below 0: squared sums along the components.
    vectors
        float64, (side, side), a column for each value.
    rank
        Values that are more than rounding.
    wide
        Whether the vectors are those of X Xᵀ, of the images.
    """

    mean: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    rank: int
    wide: bool


class Components(NamedTuple):
    """Result of `principal_components`.

    Attributes
    ----------
    mean
        float64, (n_dimensions,).
    components
        float32, (n_components, n_dimensions), orthonormal rows, largest variance first; on disk
        where they are large.
    analysis
        ``exact`` or ``randomised``.
    spectrum
        What they are taken from; None of a randomised analysis.
    """

    mean: np.ndarray
    components: Rows
    analysis: str = "exact"
    spectrum: Spectrum | None = None


def principal_components(X: Features, *, keep: int | float) -> Components:
    """Leading principal components of centred data.

    The eigenvectors of the smaller one of X Xᵀ and Xᵀ X, accumulated in float64, give the same
    components as a singular value decomposition of X at a fraction of its time and memory. Where
    that matrix is beyond this process's memory, a randomised analysis takes its place.

    Parameters
    ----------
    X
        One layer, (n_images, …).
    keep
        An int is the number of components. A float below 1 is a share of the variance: the
        smallest number of components whose cumulative share exceeds it, as scikit-learn counts.

    Raises
    ------
    InputError
        If the features are constant or have fewer independent directions than asked for.
    """
    n_images, n_dimensions = matrix_shape(X)
    if analysis_bytes(n_images, n_dimensions) > memory_limit():
        mean = mean_image(X)
        return Components(mean, leading_directions(X, mean, keep), "randomised")
    found = spectrum(X)
    count = components_kept(found.values, found.rank, keep, n_images)
    return Components(found.mean, directions(X, found, count, np.float32), "exact", found)


def components_kept(values: np.ndarray, rank: int, keep: int | float, n_images: int) -> int:
    """Number of components that `principal_components` keeps of a spectrum.

    Raises
    ------
    InputError
        If there are fewer independent ones than asked for.
    """
    if isinstance(keep, float):
        share = np.cumsum(values / values.sum())
        return min(int(np.searchsorted(share, keep, side="right")) + 1, rank)
    if keep > rank:
        raise InputError(
            f"components: {keep} are asked for, {n_images} training images have {rank} "
            "independent ones"
        )
    return keep


def analysis_bytes(n_images: int, n_dimensions: int) -> int:
    """Memory for an exact analysis and two sets of its components, in bytes."""
    side = min(n_images, n_dimensions)
    components = 4 * side * n_dimensions
    decomposed = 8 * side**2 * (5 if side <= SMALL else 3)
    kept = 2 * min(components, LARGEST) + min(2 * components, SUMS_BYTES)
    return reading_bytes([(n_images, n_dimensions)]) + decomposed + kept


def projection_bytes(n_images: int, n_dimensions: int, n_components: int) -> int:
    """Memory for the coordinates of a block of images on components, and their squares."""
    block = min(n_images, max(1, BLOCK_BYTES // (4 * n_dimensions)))
    return 3 * 8 * block * min(n_images, n_dimensions, n_components)


def spectrum(X: Features) -> Spectrum:
    """Decompose the smaller one of X Xᵀ and Xᵀ X of one layer's centred images.

    Raises
    ------
    InputError
        If the features are constant.
    """
    mean = mean_image(X)
    n_images, n_dimensions = matrix_shape(X)
    wide = n_images <= n_dimensions  # X Xᵀ has n_images rows, Xᵀ X n_dimensions: take the smaller
    values, vectors = eigh(inner_products(X, mean) if wide else scatter_matrix(X, mean))
    rank = int((values > _rounding_noise(values, mean, n_images)).sum())
    if rank == 0:
        raise InputError(NO_VARIANCE)
    return Spectrum(mean, values, vectors, rank, wide)


def directions(X: Features, found: Spectrum, keep: int, dtype: type) -> Rows:
    """Unit vectors along the leading components: `dtype`, (keep, n_dimensions)."""
    width = len(found.mean)
    if in_one_block(X):
        return _some_directions(X, found, slice(0, keep), dtype)
    rows = new_rows((keep, width), dtype)
    step = max(1, SUMS_BYTES // (8 * width))
    for start in range(0, keep, step):
        group = slice(start, min(start + step, keep))
        rows[group] = _some_directions(X, found, group, np.float64)
    return rows


def _some_directions(X: Features, found: Spectrum, group: slice, dtype: type) -> np.ndarray:
    """Those of a group of components; of many blocks, they are to be summed in float64."""
    if found.wide:
        rows = np.zeros((group.stop - group.start, len(found.mean)), dtype)
        # an eigenvector u of X Xᵀ gives the component Xᵀ u / √λ
        weights = found.vectors[:, group] / np.sqrt(found.values[group])
        for images, block in matrix_blocks(X):
            for columns, centred in centred_blocks(block, found.mean):
                rows[:, columns] += weights[images].T @ centred
    else:
        rows = np.ascontiguousarray(found.vectors[:, group].T, dtype)
    # an eigenvector's sign is arbitrary: make the largest entry of each component positive
    for row in rows:
        row *= np.sign(row[np.abs(row).argmax()])
    return rows


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
    for group, rows in row_groups(components.components):
        for columns, block in centred_blocks(X, components.mean):
            coordinates[:, group] += block @ rows[:, columns].T.astype(np.float64)
            if not group.start:
                squared_norm += np.einsum("ij,ij->i", block, block)
    return coordinates, squared_norm


def squared_error(X: np.ndarray, components: Components) -> np.ndarray:
    """Squared distance between each row of `X` and its reconstruction: float64, (n_images,)."""
    coordinates, squared_norm = project(X, components)
    # rounding may leave a perfectly reconstructed row just below 0
    return np.maximum(squared_norm - (coordinates**2).sum(axis=1), 0)


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
    step = max(1, BLOCK // positions) * positions
    images = max(1, min(IMAGES, SUMS_BYTES // (8 * channels * positions)))
    error = np.zeros((n_images, positions))
    for start in range(0, n_images, images):
        block = X[start : start + images].reshape(-1, channels * positions)
        coordinates, _ = project(block, components)
        residual = block - components.mean
        pieces = [slice(first, first + step) for first in range(0, residual.shape[1], step)]
        for group, rows in row_groups(components.components):
            for columns in pieces:
                residual[:, columns] -= coordinates[:, group] @ rows[:, columns].astype(np.float64)
        for columns in pieces:
            part = residual[:, columns].reshape(len(block), -1, positions)
            error[start : start + images] += np.einsum("icp,icp->ip", part, part)
    return error.reshape(n_images, *grid)


def _rounding_noise(eigenvalues: np.ndarray, mean: np.ndarray, n_images: int) -> float:
    """Eigenvalues up to here are rounding: of the decomposition, or of the subtracted mean."""
    eps = np.finfo(np.float64).eps
    of_mean = n_images * (16 * eps) ** 2 * float(mean @ mean)
    return max(eigenvalues[0] * len(eigenvalues) * eps, of_mean)
