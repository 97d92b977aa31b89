"""Linear autoencoder whose decoder is its encoder transposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from defectbench.scorers.linear_autoencoder import LinearAutoencoder

if TYPE_CHECKING:
    import torch


class TiedAutoencoder(LinearAutoencoder):
    """Squared error ‖x - x̂‖², x̂ = (x Wᵀ + b) W + c, and where in the image it is.

    Of the FRE family: Ndiour, Ahuja, Genc, Tickoo, "FRE: A Fast Method For Anomaly Detection And
    Segmentation", BMVC 2023. Trained as by IntelLabs/dfm; see `LinearAutoencoder`.

    When to use it: to compare with published figures. At best it finds the space of the principal
    components, which `pca_fre` computes exactly in less than a hundredth of the time. It costs 250
    epochs of training; report several seeds.

    Parameters
    ----------
    latent
        Dimensions in the middle; None: as many as principal components keep 97 % of the variance.
    epochs
        Passes over the training images.
    seed
        Of the initial weights and of the order of images.

    Attributes
    ----------
    weight_
        float32, (latent, n_dimensions): W.
    encoder_bias_, decoder_bias_
        float32, (latent,) and (n_dimensions,): b and c.
    losses_
        float64, (epochs,): mean squared error during each epoch; not stored.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8)) * [9, 9, 1, 0, 0, 0, 0, 0]
    >>> scorer = TiedAutoencoder(latent=2).fit(X)
    >>> scorer.weight_.shape
    (2, 8)
    >>> bool(scorer.anomaly_score(X + 99).min() > scorer.anomaly_score(X).max())
    True
    """

    fitted = ("weight", "encoder_bias", "decoder_bias")

    @staticmethod
    def initial_weights(
        dimensions: int, latent: int, generator: torch.Generator
    ) -> list[torch.Tensor]:
        """Xavier uniform weight, zero biases."""
        import torch

        weight = torch.empty(latent, dimensions)
        torch.nn.init.xavier_uniform_(weight, generator=generator)
        return [weight, torch.zeros(latent), torch.zeros(dimensions)]

    @staticmethod
    def reconstruct(X: Any, *weights: Any) -> Any:
        """Encode and decode; see `LinearAutoencoder.reconstruct`."""
        weight, encoder_bias, decoder_bias = weights
        return (X @ weight.T + encoder_bias) @ weight + decoder_bias
