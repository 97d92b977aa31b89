"""Sums and products of features in float64, block by block without whole copies."""

from collections.abc import Iterator

import numpy as np

from defectbench.scorers.layers import Features
from defectbench.scorers.matrices import matrix_blocks, matrix_shape

BLOCK = 4096
"""Columns handled at once in float64, so that a float32 matrix is never copied whole."""

SUMS_BYTES = 1 << 28
"""Components that are summed over blocks of images at once, in float64."""

SMALL = 2048
"""Side of matrices that NumPy decomposes, a little more exactly and in twice the memory."""


def centred_blocks(X: np.ndarray, mean: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Differences from the mean in float64, some columns at a time."""
    for start in range(0, X.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        yield columns, X[:, columns] - mean[columns]


def squared_norms(X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Squared distance of each row of `X` from the mean: float64, (n_images,)."""
    return sum(np.einsum("ij,ij->i", block, block) for _, block in centred_blocks(X, mean))


def mean_image(X: Features) -> np.ndarray:
    """Mean of one layer's images: float64, (n_dimensions,)."""
    n_images, n_dimensions = matrix_shape(X)
    total = np.zeros(n_dimensions)
    for _, block in matrix_blocks(X):
        total += block.sum(axis=0, dtype=np.float64)
    return total / n_images


def inner_products(X: Features, mean: np.ndarray) -> np.ndarray:
    """Inner products of one layer's centred images: float64, (n_images, n_images)."""
    gram = np.zeros((matrix_shape(X)[0],) * 2)
    for rows, block in matrix_blocks(X):
        for _, centred in centred_blocks(block, mean):
            gram[rows, rows] += centred @ centred.T
        for others, other in matrix_blocks(X, stop=rows.start):
            for columns, centred in centred_blocks(block, mean):
                gram[rows, others] += centred @ (other[:, columns] - mean[columns]).T
            gram[others, rows] = gram[rows, others].T
    return gram


def scatter_matrix(X: Features, mean: np.ndarray) -> np.ndarray:
    """Inner products of one layer's centred dimensions: float64, (n_dimensions, n_dimensions)."""
    side = len(mean)
    scatter = np.zeros((side, side))
    step = max(1, SUMS_BYTES // 2 // (8 * side))  # or a product would be as large as the matrix
    for _, images in matrix_blocks(X):
        for start in range(0, len(images), BLOCK):
            block = images[start : start + BLOCK] - mean
            for first in range(0, side, step):
                rows = slice(first, first + step)
                scatter[rows, first:] += block[:, rows].T @ block[:, first:]
    for first in range(0, side, step):
        rows = slice(first, first + step)
        scatter[first + step :, rows] = scatter[rows, first + step :].T
    return scatter


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, descending, none below 0, and a column for each of their eigenvectors.

    Of a symmetric matrix without negative ones but for rounding, which may be overwritten.
    """
    if len(matrix) <= SMALL:
        values, vectors = np.linalg.eigh(matrix)
    else:
        import scipy.linalg  # not when a config is merely checked: 0.2 s

        # transposed it is in LAPACK's order, and needs no copy
        values, vectors = scipy.linalg.eigh(
            matrix.T, overwrite_a=True, check_finite=False, driver="evr"
        )
    return values[::-1].clip(min=0), vectors[:, ::-1]
