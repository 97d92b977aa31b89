"""Scorers of whole images equal their definitions, computed another way."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA, KernelPCA

from defectbench import memory
from defectbench.errors import InputError
from defectbench.scorers.kernel_pca_fre import KernelPcaFre
from defectbench.scorers.mahalanobis import Mahalanobis
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.scorers.pca_gaussian import PcaGaussian

RNG = np.random.default_rng(42)
MIXING = RNG.normal(size=(20, 30)) * 0.8 ** np.arange(20)[:, None]
TRAIN, TEST = RNG.normal(size=(60, 20)) @ MIXING + 3, RNG.normal(size=(15, 20)) @ MIXING + 3.2


def test_pca_gaussian_is_the_negative_log_density_of_the_components():
    pca = PCA(0.97, svd_solver="full").fit(TRAIN)
    density = multivariate_normal(cov=np.diag(pca.explained_variance_))
    found = PcaGaussian(variance=0.97).fit(TRAIN).anomaly_score(TEST)
    np.testing.assert_allclose(found, -density.logpdf(pca.transform(TEST)), rtol=1e-5)


def test_mahalanobis_is_scikit_learns():
    expected = LedoitWolf().fit(TRAIN).mahalanobis(TEST)
    np.testing.assert_allclose(Mahalanobis().fit(TRAIN).anomaly_score(TEST), expected)


def test_mahalanobis_of_more_dimensions_than_images_is_scikit_learns():
    X = np.random.default_rng(42).normal(size=(45, 300)) * np.linspace(3, 0.1, 300)
    expected = LedoitWolf().fit(X[:40]).mahalanobis(X[40:])
    found = Mahalanobis().fit(X[:40]).anomaly_score(X[40:])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_matrix_too_large_for_memory_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**8)
    X = np.random.default_rng(42).normal(size=(3000, 3000)).astype(np.float32)
    with pytest.raises(InputError, match=r"GB of memory are needed, 0.1 GB can be had: use fewer"):
        Mahalanobis().fit(X)


def test_kernel_error_is_what_scikit_learns_components_leave():
    scorer = KernelPcaFre(variance=0.9).fit(TRAIN)
    np.testing.assert_allclose(scorer.gamma_, 1 / (30 * TRAIN.var()))
    n_components = scorer.directions_.shape[1]
    reference = KernelPCA(n_components, kernel="rbf", gamma=scorer.gamma_).fit(TRAIN)
    kernel = np.exp(-scorer.gamma_ * cdist(TEST, TRAIN, "sqeuclidean"))
    among = np.exp(-scorer.gamma_ * cdist(TRAIN, TRAIN, "sqeuclidean"))
    centred = 1 - 2 * kernel.mean(axis=1) + among.mean()
    expected = centred - (reference.transform(TEST) ** 2).sum(axis=1)
    np.testing.assert_allclose(scorer.anomaly_score(TEST), expected, rtol=1e-7)


def test_gamma_can_be_given():
    assert KernelPcaFre(gamma=0.5).fit(TRAIN).gamma_ == 0.5


@pytest.mark.parametrize("neighbours", [1, 3])
def test_nearest_neighbour_is_the_mean_distance_to_the_nearest(neighbours: int):
    expected = np.sort(cdist(TEST, TRAIN), axis=1)[:, :neighbours].mean(axis=1)
    found = NearestNeighbour(neighbours=neighbours).fit(TRAIN).anomaly_score(TEST)
    np.testing.assert_allclose(found, expected)


def test_small_distances_survive_a_large_mean():
    offset = np.full(30, 1e5)
    expected = NearestNeighbour().fit(TRAIN).anomaly_score(TEST)
    found = NearestNeighbour().fit(TRAIN + offset).anomaly_score(TEST + offset)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(InputError, match="neighbours: 61 are asked for, there are 60"):
        NearestNeighbour(neighbours=61).fit(TRAIN)


def test_a_scorer_of_one_layer_refuses_several():
    with pytest.raises(InputError, match="reads one layer, 2 were given"):
        PcaGaussian().fit([TRAIN, TRAIN])
