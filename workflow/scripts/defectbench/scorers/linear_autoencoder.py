"""What the tied and the plain linear autoencoder share: training, scores and maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.base import Scorer
from defectbench.scorers.components import IMAGES, principal_components
from defectbench.scorers.layers import Features, check_varied, image_blocks, map_list
from defectbench.scorers.matrices import as_matrix, block_scores
from defectbench.scorers.sizes import components_bytes, refuse_too_large

if TYPE_CHECKING:
    import torch

LEARNING_RATE = 1e-3
BATCH = 64

TORCH_BYTES = 700_000_000
"""What PyTorch takes beside the features."""

COPIES = 8
"""Two weight matrices, each with its gradient and two moments."""


class LinearAutoencoder(Scorer):
    """Squared error of a linear autoencoder; subclasses say which weights it has.

    Features are neither centred nor scaled. Adam, mean squared error and shuffled batches of 64,
    as IntelLabs/dfm trains it; random numbers are drawn in that script's order, so that a seed
    gives its initial weights and its order of images.
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]] = {
        "latent": {"type": ["integer", "null"], "minimum": 1},
        "epochs": {"type": "integer", "minimum": 1},
    }
    localizes = True
    draws = True
    few_folds = True
    most_folds = 5

    def __init__(self, *, latent: int | None = None, epochs: int = 250, seed: int = 42) -> None:
        self.latent = latent
        self.epochs = epochs
        self.seed = seed

    @staticmethod
    @abstractmethod
    def initial_weights(
        dimensions: int, latent: int, generator: torch.Generator
    ) -> list[torch.Tensor]:
        """Weights before training, in the order of `fitted`."""

    @staticmethod
    @abstractmethod
    def reconstruct(X: Any, *weights: Any) -> Any:
        """Encode and decode (n_images, n_dimensions): arrays or tensors alike."""

    def fit(self, X: Features) -> Self:
        """Train the weights; see `Scorer.fit`. On a GPU where there is one."""
        refuse_too_large(self, X)
        import torch  # a config is checked, and images are scored, without it

        matrix = as_matrix(X)
        check_varied([matrix])
        latent = self.latent or len(principal_components(matrix, keep=0.97).components)
        refuse_beyond_memory(4 * COPIES * latent * matrix.shape[1], "choose a smaller latent size")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        generator = opened_generator(self.seed)
        weights = [
            weight.to(device).requires_grad_()
            for weight in self.initial_weights(matrix.shape[1], latent, generator)
        ]
        images = torch.from_numpy(matrix.astype(np.float32)).to(device)
        self.losses_ = self._train(images, weights, generator)
        for name, weight in zip(self.fitted, weights, strict=True):
            setattr(self, f"{name}_", weight.detach().cpu().numpy())
        return self

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Features whole, three times, and the weights' copies, PyTorch; see `Scorer.fit_bytes`."""
        dimensions = sum(prod(shape[1:]) for shape in shapes)
        latent = self.latent or min(shapes[0][0], dimensions)
        training = 4 * dimensions * (3 * shapes[0][0] + COPIES * latent)
        return components_bytes(shapes) + training + TORCH_BYTES

    def anomaly_score(self, X: Features) -> np.ndarray:
        """Squared error, summed over all dimensions; see `Scorer.anomaly_score`."""

        def score(block: np.ndarray) -> np.ndarray:
            parts = np.split(block, range(IMAGES, len(block), IMAGES))
            squared = map(self._squared_error, parts)
            return np.concatenate([part.sum(axis=1, dtype=np.float64) for part in squared])

        return block_scores(X, score)

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Squared error, summed over the channels; see `Scorer.anomaly_map`."""
        map_list(X)
        found = []
        for _, (maps,) in image_blocks(X):
            for part in np.split(maps, range(IMAGES, len(maps), IMAGES)):
                squared = self._squared_error(part.reshape(len(part), -1))
                found.append(squared.reshape(part.shape).sum(axis=1))
        return np.concatenate(found)

    def _squared_error(self, matrix: np.ndarray) -> np.ndarray:
        matrix = matrix.astype(np.float32, copy=False)
        weights = [getattr(self, f"{name}_") for name in self.fitted]
        return (matrix - self.reconstruct(matrix, *weights)) ** 2

    def _train(
        self, images: torch.Tensor, weights: list[torch.Tensor], generator: torch.Generator
    ) -> np.ndarray:
        """Train in place; mean squared error of each epoch: float64, (epochs,)."""
        import torch

        optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE)
        losses = np.zeros(self.epochs)
        for epoch in range(self.epochs):
            _draw(generator)
            shuffle = torch.Generator().manual_seed(_draw(generator))
            order = torch.randperm(len(images), generator=shuffle).to(images.device)
            for rows in order.split(BATCH):
                batch = images[rows]
                loss = ((batch - self.reconstruct(batch, *weights)) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[epoch] += float(loss.detach()) * len(rows) / len(images)
        return losses


def opened_generator(seed: int) -> torch.Generator:
    """Seeded, and past the two numbers that the published script's data loaders draw first."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for _ in range(2):
        _draw(generator)
    return generator


def _draw(generator: torch.Generator) -> int:
    """One whole number, as a data loader of PyTorch draws it."""
    import torch

    return int(torch.empty((), dtype=torch.int64).random_(generator=generator))
