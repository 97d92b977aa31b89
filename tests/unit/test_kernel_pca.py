"""Reconstruction errors from inner products alone equal those from the features."""

import numpy as np
from sklearn.decomposition import PCA

from defectbench.scorers.kernels import kernel_components, reconstruction_error

RNG = np.random.default_rng(42)
MIXING = RNG.normal(size=(20, 30)) * 0.8 ** np.arange(20)[:, None]
TRAIN, TEST = RNG.normal(size=(40, 20)) @ MIXING + 3, RNG.normal(size=(15, 20)) @ MIXING + 3


def test_a_linear_kernel_gives_the_error_of_linear_components():
    pca = PCA(0.97, svd_solver="full").fit(TRAIN)
    expected = ((TEST - pca.inverse_transform(pca.transform(TEST))) ** 2).sum(axis=1)
    components = kernel_components(TRAIN @ TRAIN.T, 0.97)
    assert components.directions.shape == (40, pca.n_components_)
    found = reconstruction_error((TEST**2).sum(axis=1), TEST @ TRAIN.T, components)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
