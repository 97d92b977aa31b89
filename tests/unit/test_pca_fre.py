"""FRE equals its definition, computed with scikit-learn."""

import numpy as np
from sklearn.decomposition import PCA

from defectbench.scorers.pca_fre import PcaFre

RNG = np.random.default_rng(42)
MIXING = RNG.normal(size=(40, 500)) * 0.85 ** np.arange(40)[:, None]
TRAIN = RNG.normal(size=(60, 40)) @ MIXING
TEST = RNG.normal(size=(25, 40)) @ MIXING + RNG.normal(size=(25, 500)) * 0.05


def test_score_is_the_squared_error_of_scikit_learns_reconstruction():
    pca = PCA(0.97, svd_solver="full").fit(TRAIN)
    expected = ((TEST - pca.inverse_transform(pca.transform(TEST))) ** 2).sum(axis=1)
    scorer = PcaFre(variance=0.97).fit(TRAIN)
    assert len(scorer.components_) == pca.n_components_
    np.testing.assert_allclose(scorer.anomaly_score(TEST), expected, rtol=1e-6)


def test_more_variance_kept_means_less_error():
    errors = [PcaFre(variance=v).fit(TRAIN).anomaly_score(TEST).sum() for v in (0.5, 0.9, 0.99)]
    assert errors == sorted(errors, reverse=True)


def test_a_perfectly_reconstructed_image_scores_zero_not_less():
    X = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])
    scores = PcaFre(variance=0.97).fit(X).anomaly_score(X)
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores, 0, atol=1e-6)
