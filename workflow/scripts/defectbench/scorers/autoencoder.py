"""Linear autoencoder with an encoder and a decoder of its own."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

from defectbench.scorers.linear_autoencoder import LinearAutoencoder

if TYPE_CHECKING:
    import torch


class Autoencoder(LinearAutoencoder):
    """Squared error ‖x - x̂‖², x̂ = (x Vᵀ + b) Wᵀ + c, and where in the image it is.

    Of the FRE family: Ndiour, Ahuja, Genc, Tickoo, "FRE: A Fast Method For Anomaly Detection And
    Segmentation", BMVC 2023. Trained as by IntelLabs/dfm; see `LinearAutoencoder`.

    When to use it: to compare with published figures, and only as a mean over several seeds. A
    single run is worth little: rounding alone moves its scores by 17 % after 250 epochs on MVTec
    bottle, where its loss falls to the variance about the mean, and then rises again.

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
    encoder_weight_, encoder_bias_
        float32, (latent, n_dimensions) and (latent,): V and b.
    decoder_weight_, decoder_bias_
        float32, (n_dimensions, latent) and (n_dimensions,): W and c.
    losses_
        float64, (epochs,): mean squared error during each epoch; not stored.

    Examples
    --------
    >>> X = np.random.default_rng(42).normal(size=(50, 8)) * [9, 9, 1, 0, 0, 0, 0, 0]
    >>> scorer = Autoencoder(latent=2).fit(X)
    >>> scorer.encoder_weight_.shape
    (2, 8)
    >>> bool(scorer.anomaly_score(X + 99).min() > scorer.anomaly_score(X).max())
    True
    """

    fitted = ("encoder_weight", "encoder_bias", "decoder_weight", "decoder_bias")

    @staticmethod
    def initial_weights(
        dimensions: int, latent: int, generator: torch.Generator
    ) -> list[torch.Tensor]:
        """Uniform within ±1/√inputs, PyTorch's default for a linear layer."""
        import torch

        weights = []
        for inputs, outputs in ((dimensions, latent), (latent, dimensions)):
            weight, bias = torch.empty(outputs, inputs), torch.empty(outputs)
            torch.nn.init.kaiming_uniform_(weight, a=sqrt(5), generator=generator)
            bias.uniform_(-1 / sqrt(inputs), 1 / sqrt(inputs), generator=generator)
            weights += [weight, bias]
        return weights

    @staticmethod
    def reconstruct(X: Any, *weights: Any) -> Any:
        """Encode and decode; see `LinearAutoencoder.reconstruct`."""
        encoder_weight, encoder_bias, decoder_weight, decoder_bias = weights
        return (X @ encoder_weight.T + encoder_bias) @ decoder_weight.T + decoder_bias
