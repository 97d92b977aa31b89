"""Graphs of the scorers that compare whole images with vectors, named as the scorers are.

All of them compute in float64 throughout.
"""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Scored, SquaredDistances, as_matrix


class KernelPcaFre(Graph):
    """Reconstruction error in the kernel's feature space."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        kept = {name: arrays[name] for name in ("row_means", "directions", "gamma")}
        super().__init__(kept | {"mean": arrays["row_means"].mean()})
        self.squared_distances = SquaredDistances(arrays["points"])

    def forward(self, features: list[torch.Tensor]) -> Scored:
        kernel = (-self.gamma * self.squared_distances(features)).exp()
        means = kernel.mean(1, keepdim=True)
        centred_own = 1 - 2 * means[:, 0] + self.mean
        coordinates = (kernel - means - self.row_means + self.mean) @ self.directions
        return (centred_own - (coordinates**2).sum(1)).clamp(min=0), None


class Mahalanobis(Graph):
    """Squared Mahalanobis distance."""

    def forward(self, features: list[torch.Tensor]) -> Scored:
        centred = as_matrix(features) - self.mean
        return ((centred @ self.precision) * centred).sum(1), None


class NearestNeighbour(Graph):
    """Mean distance to the nearest training features."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__({})
        self.squared_distances = SquaredDistances(arrays["points"])
        self.neighbours = parameters.get("neighbours", 1)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        distances = self.squared_distances(features)
        nearest, _ = distances.topk(self.neighbours, dim=1, largest=False)
        return nearest.sqrt().mean(1), None


class PcaGraph(Graph):
    """A scorer on the coordinates of principal components."""

    def coordinates(self, features: list[torch.Tensor]) -> torch.Tensor:
        """As in `scorers.linear_algebra.project`: float64, (n_images, n_components)."""
        return (as_matrix(features) - self.mean) @ self.components.double().T


class PcaGaussian(PcaGraph):
    """Negative log likelihood of the principal components."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__({**arrays, "constant": np.log(2 * np.pi * arrays["variances"]).sum()})

    def forward(self, features: list[torch.Tensor]) -> Scored:
        scaled = self.coordinates(features) ** 2 / self.variances
        return (scaled.sum(1) + self.constant) / 2, None


class PcaKde(PcaGraph):
    """Negative log density."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        whitening, points = arrays["whitening"], arrays["points"]
        log_norm = (
            np.log(np.diag(whitening)).sum()
            - len(whitening) / 2 * np.log(2 * np.pi)
            - np.log(len(points))
        )
        derived = {"whitening": whitening / arrays["max_norm"], "log_norm": log_norm}
        super().__init__({**arrays, **derived})

    def forward(self, features: list[torch.Tensor]) -> Scored:
        queries = self.coordinates(features) @ self.whitening.T
        exponents = -((queries[:, None] - self.points) ** 2).sum(2) / 2
        largest = exponents.amax(1, keepdim=True)  # else the exponentials underflow
        log_sum = largest[:, 0] + (exponents - largest).exp().sum(1).log()
        return -(self.log_norm + log_sum), None
