"""Linear autoencoders learn what they can, and score by the squared error of their weights."""

import numpy as np
import pytest
import torch

from defectbench.scorers.autoencoder import Autoencoder
from defectbench.scorers.linear_autoencoder import LinearAutoencoder
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.tied_autoencoder import TiedAutoencoder

RNG = np.random.default_rng(42)
MAPS = (RNG.normal(size=(80, 3)) @ RNG.normal(size=(3, 60))).reshape(80, 15, 2, 2)
MAPS = MAPS.astype(np.float32)


@pytest.mark.parametrize("kind", [TiedAutoencoder, Autoencoder])
def test_the_score_is_the_squared_error_and_the_map_its_sum_over_channels(
    kind: type[LinearAutoencoder],
):
    scorer = kind(latent=2, epochs=5).fit(MAPS)
    flat = torch.from_numpy(MAPS.reshape(80, -1))
    weights = [torch.from_numpy(array) for array in scorer.to_arrays().values()]
    squared = ((flat - scorer.reconstruct(flat, *weights)) ** 2).numpy()
    np.testing.assert_allclose(scorer.anomaly_score(MAPS), squared.sum(axis=1), rtol=1e-5)
    expected = squared.reshape(MAPS.shape).sum(axis=1)
    np.testing.assert_allclose(scorer.anomaly_map(MAPS), expected, rtol=1e-4)


def test_weights_tied_for_long_enough_leave_what_principal_components_leave():
    scorer = TiedAutoencoder(latent=2, epochs=500).fit(MAPS)
    components = PcaFre(variance=0.5).fit(MAPS)
    assert len(components.components_[0]) == 2
    least = components.anomaly_score(MAPS).mean()
    assert least < scorer.anomaly_score(MAPS).mean() < 1.1 * least


def test_the_latent_size_is_that_of_principal_components_unless_given():
    assert TiedAutoencoder(epochs=1).fit(MAPS).weight_.shape == (3, 60)
    assert TiedAutoencoder(epochs=1, latent=7).fit(MAPS).weight_.shape == (7, 60)


def test_initial_weights_are_those_of_pytorchs_layers_with_the_same_seed():
    torch.manual_seed(5)
    layers = [torch.nn.Linear(60, 4), torch.nn.Linear(4, 60)]
    expected = [weight for layer in layers for weight in layer.parameters()]
    found = Autoencoder.initial_weights(60, 4, torch.Generator().manual_seed(5))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_each_epochs_loss_is_kept_and_falls():
    losses = TiedAutoencoder(latent=3, epochs=300).fit(MAPS).losses_
    assert losses.shape == (300,)
    assert losses[-1] < losses[0] / 2
