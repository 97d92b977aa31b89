"""DFKDE equals its definition, computed with scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde
from sklearn.decomposition import PCA

from defectbench.errors import InputError
from defectbench.scorers.pca_kde import PcaKde, anomaly_probability

RNG = np.random.default_rng(42)
TRAIN, TEST = RNG.normal(size=(80, 200)), RNG.normal(size=(30, 200)) * 1.3 + 0.2


@pytest.mark.parametrize("components", [1, 2, 16])
def test_log_density_is_scipys_on_scikit_learns_components(components: int):
    pca = PCA(components, svd_solver="full").fit(TRAIN)
    train, test = pca.transform(TRAIN), pca.transform(TEST)
    scale = np.linalg.norm(train, axis=1).max()
    expected = gaussian_kde((train / scale).T).logpdf((test / scale).T)
    found = PcaKde(components=components).fit(TRAIN).log_density(TEST)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_score_is_the_negative_log_density():
    scorer = PcaKde(components=4).fit(TRAIN)
    np.testing.assert_array_equal(scorer.anomaly_score(TEST), -scorer.log_density(TEST))


def test_far_outliers_are_ranked_not_tied():
    scorer = PcaKde(components=4).fit(TRAIN)
    direction = scorer.components_[0].astype(np.float64)
    outliers = TRAIN.mean(axis=0) + np.outer([1e3, 1e4, 1e5], direction)
    scores = scorer.anomaly_score(outliers)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()


def test_published_probability_by_hand():
    # 1 / (1 + e^0) and 1 / (1 + e^(0.05 * 20))
    np.testing.assert_allclose(anomaly_probability([12, 32]), [0.5, 0.2689414213699951])


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="components: 16 need at least 18"):
        PcaKde(components=16).fit(TRAIN[:17])


def test_held_out_scores_are_densities_of_the_features_up_to_one_constant():
    # one far image makes the scale of the folds that were fitted with it another
    X = np.concatenate([TRAIN, 4 * TRAIN[:1]])
    full = PcaKde(components=4).fit(X)
    constants, scales = [], []
    for fold in np.array_split(np.arange(len(X)), 3):
        rest = np.delete(X, fold, axis=0)
        part = PcaKde(components=4).fit(rest)
        pca = PCA(4, svd_solver="full").fit(rest)
        density = gaussian_kde(pca.transform(rest).T).logpdf(pca.transform(X[fold]).T)
        constants.append(part.on_scale_of(full, part.anomaly_score(X[fold])) + density)
        scales.append(part.max_norm_)
    assert max(scales) > 1.5 * min(scales)
    expected = -4 * np.log(full.max_norm_)
    np.testing.assert_allclose(np.concatenate(constants), expected, atol=2e-5)


def test_the_reference_itself_scores_as_published():
    scorer = PcaKde(components=4).fit(TRAIN)
    scores = scorer.anomaly_score(TRAIN)
    np.testing.assert_array_equal(scorer.on_scale_of(scorer, scores), scores)
