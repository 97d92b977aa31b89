"""Principal components of features that are too many and too large for an exact analysis."""

import numpy as np

from defectbench.errors import InputError
from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.layers import NO_VARIANCE, Features, reading_bytes
from defectbench.scorers.matrices import matrix_blocks, matrix_shape

ROUNDS = 8
"""Products with the scatter matrix; each shrinks what is not a leading component.

Of singular values that fall with k^-0.5, as many components as the exact analysis finds for a share
come after 8, and the leading 16 to 1e-5; after 4 they are still turned by some degrees; 16 take
twice the time.
"""

FIRST_RANK = 64
"""Directions that a share of the variance is sought with at first; then always twice as many."""

SEED = 42
"""Of the first directions, which decide nothing that the rounds do not take back."""


def leading_directions(X: Features, mean: np.ndarray, keep: int | float) -> np.ndarray:
    """Leading principal components by subspace iteration, in passes over blocks of images.

    Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011: random
    directions are multiplied by the scatter matrix, which is never formed, and made orthonormal in
    turn; the eigenvectors within the space that they span are the components. The total variance
    is known exactly, so a share is never overestimated.

    Parameters
    ----------
    X
        One layer, (n_images, …).
    mean
        float64, (n_dimensions,), of the images.
    keep
        As in `linear_algebra.principal_components`.

    Returns
    -------
    ndarray
        float32, (n_components, n_dimensions).

    Raises
    ------
    InputError
        If the features are constant, or the directions that are needed exceed the memory.
    """
    n_images, n_dimensions = matrix_shape(X)
    most = min(n_images - 1, n_dimensions)
    total = _squared_sum(X, mean)
    if total == 0:
        raise InputError(NO_VARIANCE)
    rng = np.random.default_rng(SEED)
    rank = 2 * keep + 8 if isinstance(keep, int) else FIRST_RANK
    basis = np.empty((n_dimensions, 0))
    while True:
        rank = min(rank, most)
        refuse_beyond_memory(
            4 * 8 * rank * n_dimensions,
            "keep fewer components, pool the layer, or use fewer images",
        )
        added = rng.normal(size=(n_dimensions, rank - basis.shape[1]))
        basis, products = np.hstack([basis, added]), None
        for _ in range(ROUNDS):
            basis, _ = np.linalg.qr(basis if products is None else products)
            products = _scatter_times(X, mean, basis)
        values, vectors = np.linalg.eigh(basis.T @ products)
        basis = basis @ vectors[:, ::-1]
        if isinstance(keep, int):
            return _signed(basis[:, :keep])
        share = np.cumsum(values[::-1]) / total
        if share[-1] > keep or rank == most:
            count = min(int(np.searchsorted(share, keep, side="right")) + 1, rank)
            return _signed(basis[:, :count])
        rank *= 2


def least_bytes(n_images: int, n_dimensions: int) -> int:
    """Memory for the first directions, in bytes."""
    rank = min(FIRST_RANK, n_images, n_dimensions)
    return reading_bytes([(n_images, n_dimensions)]) + 4 * 8 * rank * n_dimensions


def _squared_sum(X: Features, mean: np.ndarray) -> float:
    return sum(float(((block - mean) ** 2).sum()) for _, block in matrix_blocks(X))


def _scatter_times(X: Features, mean: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Xᵀ X basis, X centred, in one pass."""
    products = np.zeros_like(basis)
    for _, block in matrix_blocks(X):
        centred = block - mean
        products += centred.T @ (centred @ basis)
    return products


def _signed(basis: np.ndarray) -> np.ndarray:
    """Rows with a positive largest entry: an eigenvector's sign is arbitrary."""
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    return np.ascontiguousarray((basis * signs).T, np.float32)
