"""Principal components equal scikit-learn's full SVD, whichever side is longer."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

from defectbench.errors import InputError
from defectbench.scorers.components import principal_components, project


def data(n_images: int, n_dimensions: int) -> np.ndarray:
    rng = np.random.default_rng(42)
    scales = 0.9 ** np.arange(min(n_images, n_dimensions))
    mixing = rng.normal(size=(len(scales), n_dimensions))
    return (rng.normal(size=(n_images, len(scales))) * scales) @ mixing + 5


@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (50, 50), (30, 5000)])
@pytest.mark.parametrize("keep", [5, 0.97])
def test_components_are_scikit_learns(shape: tuple[int, int], keep: int | float):
    X = data(*shape)
    expected = PCA(keep, svd_solver="full").fit(X)
    found = principal_components(X, keep=keep)
    assert len(found.components) == expected.n_components_
    np.testing.assert_allclose(found.mean, expected.mean_)
    alignment = np.abs((found.components * expected.components_).sum(axis=1))
    np.testing.assert_allclose(alignment, 1, atol=1e-6)
    coordinates, _ = project(X, found)
    np.testing.assert_allclose(
        np.abs(coordinates), np.abs(expected.transform(X)), atol=1e-5, rtol=1e-5
    )


def test_a_components_largest_entry_is_positive():
    components = principal_components(data(20, 60), keep=6).components
    assert (components[np.arange(6), np.abs(components).argmax(axis=1)] > 0).all()


def test_projection_gives_the_distance_from_the_mean():
    X = data(20, 60)
    found = principal_components(X, keep=3)
    _, squared_norm = project(X, found)
    np.testing.assert_allclose(squared_norm, ((X - X.mean(axis=0)) ** 2).sum(axis=1))


def test_constant_features_are_refused():
    with pytest.raises(InputError, match="all training features are equal"):
        principal_components(np.full((10, 20), 0.1, np.float32), keep=2)


def test_more_components_than_independent_images_are_refused():
    X = np.repeat(data(5, 30), 4, axis=0)  # 20 images, 5 of them different
    with pytest.raises(InputError, match="4 independent"):
        principal_components(X, keep=5)
    assert principal_components(X, keep=4).components.shape == (4, 30)


def test_memory_stays_near_twice_the_feature_matrix():
    X = np.random.default_rng(42).normal(size=(200, 40_000)).astype(np.float32)
    tracemalloc.start()
    principal_components(X, keep=0.97)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.6 * X.nbytes  # beside X itself; the components alone may be as large as X


def test_the_small_error_in_a_large_norm_survives_float32_features():
    rng = np.random.default_rng(42)
    basis = np.linalg.qr(rng.normal(size=(2000, 4)))[0].T
    signal, noise = rng.normal(size=(60, 4)) * 1000, rng.normal(size=(60, 2000))
    X = (signal @ basis + noise).astype(np.float32)
    found = principal_components(X, keep=4)
    coordinates, squared_norm = project(X, found)
    error = squared_norm - (coordinates**2).sum(axis=1)
    directions = np.linalg.qr(found.components.T.astype(np.float64))[0]
    centred = X.astype(np.float64) - found.mean
    exact = ((centred - centred @ directions @ directions.T) ** 2).sum(axis=1)
    deviation = np.abs(error / exact - 1).max()
    single = centred.astype(np.float32)
    naive = (single**2).sum(axis=1) - ((single @ found.components.T) ** 2).sum(axis=1)
    assert deviation < 2e-4
    assert np.abs(naive / exact - 1).max() > 5 * deviation
