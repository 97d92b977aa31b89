"""PaDiM equals its definition, position by position."""

import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.scorers.grids import nearest, smooth_maps
from defectbench.scorers.padim import Padim

RNG = np.random.default_rng(42)
TRAIN = [RNG.normal(size=(30, 4, 6, 6)), RNG.normal(size=(30, 5, 3, 3))]
TEST = [RNG.normal(size=(7, 4, 6, 6)), RNG.normal(size=(7, 5, 3, 3))]


def test_distances_are_mahalanobis_distances_on_the_finest_grid():
    channels = np.array([7, 0, 3, 8])
    scorer = Padim(regularisation=0.05).fit_on_channels(TRAIN, channels)
    train, test = (
        np.concatenate([layers[0], nearest(layers[1], (6, 6))], axis=1)[:, channels]
        for layers in (TRAIN, TEST)
    )
    expected = np.empty((7, 6, 6))
    for y, x in np.ndindex(6, 6):
        covariance = np.cov(train[:, :, y, x], rowvar=False) + 0.05 * np.eye(4)
        centred = test[:, :, y, x] - train[:, :, y, x].mean(axis=0)
        squared = (centred @ np.linalg.inv(covariance) * centred).sum(axis=1)
        expected[:, y, x] = np.sqrt(squared)
    np.testing.assert_allclose(scorer.distances(TEST), expected, rtol=1e-5)


def test_the_image_score_is_the_smoothed_maps_maximum():
    scorer = Padim(channels=5, map_size=32).fit(TRAIN)
    expected = smooth_maps(scorer.distances(TEST), 32)
    np.testing.assert_array_equal(scorer.anomaly_map(TEST), expected)
    np.testing.assert_array_equal(scorer.anomaly_score(TEST), expected.max(axis=(1, 2)))


def test_channels_are_drawn_without_repetition_from_all_layers():
    kept = [Padim(channels=5, seed=seed).fit(TRAIN).channels_ for seed in range(5)]
    assert all(len(set(channels)) == 5 for channels in kept)
    assert set(np.concatenate(kept)) == set(range(9))
    assert len(Padim(channels=100).fit(TRAIN).channels_) == 9


def test_a_model_beyond_memory_is_refused_before_it_is_made():
    X = np.random.default_rng(42).normal(size=(2, 100_000, 8, 8)).astype(np.float32)
    with pytest.raises(InputError, match="GB of memory are needed"):
        Padim(channels=100_000).fit(X)
