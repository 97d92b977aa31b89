"""Eigenvalues and eigenvectors of a matrix of which one row's part is taken away."""

import numpy as np

ROUNDING = 64 * np.finfo(np.float64).eps
"""Of the largest eigenvalue: what is less counts as nothing."""


def downdated(values: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Eigenvalues, descending, and eigenvectors of diag(values) - row rowᵀ.

    The eigenvalues are the roots of 1 = Σ rowⱼ² / (valuesⱼ - λ), one between each two values;
    LAPACK's dlasd4 finds them one by one (Li, "Solving secular equations stably and efficiently",
    LAPACK working note 89, 1993). Eigenvectors are those of the row for which these roots are
    exact, which keeps them orthogonal (Gu and Eisenstat, SIAM Journal on Matrix Analysis and
    Applications 16, 1995). It takes the square of the size, where a decomposition takes the cube.

    Parameters
    ----------
    values
        float64, (n,), descending, none below 0.
    row
        float64, (n,).

    Returns
    -------
    tuple of ndarray, or None
        float64, (n,) and (n, n), a column for each value. None where two values that the row
        touches are equal but for rounding: no root is between them.
    """
    from scipy.linalg.lapack import dlasd4  # not when a config is merely checked: 0.2 s

    norm = float(np.linalg.norm(row))
    touched = np.flatnonzero(np.abs(row) * norm > ROUNDING * values[0])
    own, part = values[touched], row[touched]
    if len(touched) and (own[:-1] - own[1:] <= ROUNDING * values[0]).any():
        return None
    # squares of ascending numbers, from 0 on, plus a part instead of less: what dlasd4 takes
    roots, weights, size = np.sqrt(own[:1] - own), part / norm, norm**2
    # of each new value from each old one; of a single one dlasd4 does not say it
    differences = np.full((len(touched), len(touched)), -size)
    for number in range(len(touched) if len(touched) > 1 else 0):
        below, _, above, _ = dlasd4(number, roots, weights, size)
        differences[:, number] = below * above
    found, vectors = values.copy(), np.eye(len(values))
    found[touched] = own + np.diag(differences)
    exact = np.sqrt(-np.diag(differences) * _products(roots, differences))
    turned = np.copysign(exact, part)[:, None] / differences
    vectors[np.ix_(touched, touched)] = turned / np.linalg.norm(turned, axis=0)
    order = np.argsort(-found, kind="stable")  # untouched values may lie between the others
    return found[order].clip(min=0), vectors[:, order]


def _products(roots: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Of (λₖ - valuesⱼ) / (valuesₖ - valuesⱼ) over all k but j, for each j."""
    gaps = (roots[:, None] - roots) * (roots[:, None] + roots)  # as exact as the differences
    np.fill_diagonal(gaps, 1)
    ratios = differences / gaps
    np.fill_diagonal(ratios, 1)
    return ratios.prod(axis=1)
