"""FRE equals its definition, computed with scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from defectbench.errors import InputError
from defectbench.scorers.components import spectrum
from defectbench.scorers.grids import bilinear
from defectbench.scorers.leave_out import Reduced, held_out_mean
from defectbench.scorers.pca_fre import PcaFre

RNG = np.random.default_rng(42)
MIXING = RNG.normal(size=(40, 500)) * 0.85 ** np.arange(40)[:, None]
TRAIN = RNG.normal(size=(60, 40)) @ MIXING
TEST = RNG.normal(size=(25, 40)) @ MIXING + RNG.normal(size=(25, 500)) * 0.05


def test_score_is_the_squared_error_of_scikit_learns_reconstruction():
    pca = PCA(0.97, svd_solver="full").fit(TRAIN)
    expected = ((TEST - pca.inverse_transform(pca.transform(TEST))) ** 2).sum(axis=1)
    scorer = PcaFre(variance=0.97).fit(TRAIN)
    assert len(scorer.components_[0]) == pca.n_components_
    np.testing.assert_allclose(scorer.anomaly_score(TEST), expected, rtol=1e-6)


def test_more_variance_kept_means_less_error():
    errors = [PcaFre(variance=v).fit(TRAIN).anomaly_score(TEST).sum() for v in (0.5, 0.9, 0.99)]
    assert errors == sorted(errors, reverse=True)


def test_a_perfectly_reconstructed_image_scores_zero_not_less():
    X = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])
    scores = PcaFre(variance=0.97).fit(X).anomaly_score(X)
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores, 0, atol=1e-6)


def maps(n_images: int, channels: int, side: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(6, channels * side * side))
    flat = rng.normal(size=(n_images, 6)) @ mixing + rng.normal(size=(n_images, mixing.shape[1]))
    return flat.reshape(n_images, channels, side, side).astype(np.float32)


def test_the_map_is_the_squared_residual_summed_over_channels():
    train, test = maps(40, 5, 4, 1), maps(10, 5, 4, 2)
    pca = PCA(0.6, svd_solver="full").fit(train.reshape(40, -1))
    flat = test.reshape(10, -1)
    residual = flat - pca.inverse_transform(pca.transform(flat))
    expected = (residual.reshape(test.shape) ** 2).sum(axis=1)
    found = PcaFre(variance=0.6).fit(train).anomaly_map(test)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_image_score_is_the_maps_sum_or_maximum():
    train, test = maps(40, 5, 4, 1), maps(10, 5, 4, 2)
    for layers in (1, 2):
        X = train if layers == 1 else [train, maps(40, 3, 8, 3)]
        Y = test if layers == 1 else [test, maps(10, 3, 8, 4)]
        total = PcaFre(variance=0.6).fit(X)
        largest = PcaFre(variance=0.6, image_score="max").fit(X)
        found = total.anomaly_map(Y)
        np.testing.assert_allclose(total.anomaly_score(Y), found.sum(axis=(1, 2)), rtol=1e-5)
        np.testing.assert_array_equal(largest.anomaly_score(Y), found.max(axis=(1, 2)))


def test_a_layers_mean_is_that_of_images_its_components_have_not_seen():
    X = maps(40, 5, 4, 1)
    errors = np.empty(40)
    for members in np.array_split(np.arange(40), 5):
        scorer = PcaFre(variance=0.6).fit(np.delete(X, members, axis=0))
        errors[members] = scorer.anomaly_score(X[members])
    found = held_out_mean(Reduced(X, spectrum(X)), 0.6)
    np.testing.assert_allclose(found, errors.mean(), rtol=1e-6)


def test_layers_are_divided_by_their_means_and_averaged_on_the_finest_grid():
    train, test = [maps(40, 5, 4, 1), maps(40, 3, 8, 3)], [maps(10, 5, 4, 2), maps(10, 3, 8, 4)]
    scorer = PcaFre(variance=0.6).fit(train)
    coarse, fine = (
        PcaFre(variance=0.6).fit(layer).anomaly_map(new)
        * np.prod(layer.shape[2:])
        / held_out_mean(Reduced(layer, spectrum(layer)), 0.6)
        for layer, new in zip(train, test, strict=True)
    )
    expected = (bilinear(coarse, (8, 8)) + fine) / 2
    np.testing.assert_allclose(scorer.anomaly_map(test), expected, rtol=1e-4)
    assert PcaFre(variance=0.6, map_size=16).fit(train).anomaly_map(test).shape == (10, 16, 16)


def test_several_layers_need_a_place_and_three_images():
    with pytest.raises(InputError, match="no place"):
        PcaFre().fit([TRAIN, TRAIN])
    with pytest.raises(InputError, match="several layers need 3 training images"):
        PcaFre().fit([maps(2, 5, 4, 1), maps(2, 3, 8, 3)])
