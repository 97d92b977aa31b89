"""A row's part taken from a spectrum, against a decomposition of what is left."""

import numpy as np
import pytest

from defectbench.scorers.downdate import downdated


def spectrum(count: int, power: float) -> np.ndarray:
    """Descending eigenvalues that fall by a power of their number."""
    rng = np.random.default_rng(count)
    return np.sort(1e4 * rng.uniform(0.5, 1.5, count) / np.arange(1, count + 1) ** power)[::-1]


@pytest.mark.parametrize(("count", "power"), [(1, 1), (2, 1), (50, 0.1), (200, 1), (200, 2)])
def test_it_is_the_decomposition_of_the_difference(count: int, power: float):
    values = spectrum(count, power)
    row = np.random.default_rng(1).normal(size=count) * np.sqrt(values / count) * 0.9
    row[3:20] = 0  # rows that touch few of the values, too
    found, vectors = downdated(values, row)
    left = np.diag(values) - np.outer(row, row)
    assert (np.diff(found) <= 0).all()
    assert (vectors * found) @ vectors.T == pytest.approx(left, abs=1e-11 * values[0])
    assert vectors.T @ vectors == pytest.approx(np.eye(count), abs=1e-11)


def test_of_a_row_that_held_a_direction_alone_nothing_is_left_in_it():
    values = np.array([9.0, 4.0, 1.0])
    found, vectors = downdated(values, np.array([0.0, 2.0, 0.0]))
    assert found == pytest.approx([9, 1, 0])
    assert abs(vectors) == pytest.approx(np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]))


def test_equal_values_are_left_to_a_decomposition():
    assert downdated(np.array([2.0, 2.0, 1.0]), np.full(3, 0.5)) is None
