"""Graphs of the scorers that compare whole images with vectors, named as the scorers are."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import (
    Arrays,
    Graph,
    Projection,
    Scored,
    SquaredDistances,
)


class KernelPcaFre(Graph):
    """Reconstruction error in the kernel's feature space, float64 throughout."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.squared_distances = SquaredDistances(arrays["points"])
        row_means = arrays["row_means"]
        self.keep(row_means=row_means, directions=arrays["directions"])
        self.keep(gamma=np.float64(arrays["gamma"]), mean=row_means.mean())

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        kernel = (-self.gamma * self.squared_distances(layer)).exp()
        means = kernel.mean(1, keepdim=True)
        centred_own = 1 - 2 * means[:, 0] + self.mean
        coordinates = (kernel - means - self.row_means + self.mean) @ self.directions
        return (centred_own - (coordinates**2).sum(1)).clamp(min=0), None


class Mahalanobis(Graph):
    """Squared Mahalanobis distance, float64 throughout."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.keep(mean=arrays["mean"], precision=arrays["precision"])

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        centred = layer.flatten(1).double() - self.mean
        return ((centred @ self.precision) * centred).sum(1), None


class NearestNeighbour(Graph):
    """Mean distance to the nearest training features."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.squared_distances = SquaredDistances(arrays["points"])
        self.neighbours = parameters.get("neighbours", 1)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        nearest, _ = self.squared_distances(layer).topk(self.neighbours, dim=1, largest=False)
        return nearest.sqrt().mean(1), None


class PcaGaussian(Graph):
    """Negative log likelihood of the principal components, float64 throughout."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.project = Projection(arrays["mean"], arrays["components"])
        variances = arrays["variances"]
        self.keep(variances=variances, constant=np.log(2 * np.pi * variances).sum())

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        scaled = self.project(layer) ** 2 / self.variances
        return (scaled.sum(1) + self.constant) / 2, None


class PcaKde(Graph):
    """Negative log density, float64 throughout."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        whitening, points = arrays["whitening"], arrays["points"]
        self.project = Projection(arrays["mean"], arrays["components"])
        log_norm = (
            np.log(np.diag(whitening)).sum()
            - len(whitening) / 2 * np.log(2 * np.pi)
            - np.log(len(points))
        )
        self.keep(whitening=whitening / arrays["max_norm"], points=points, log_norm=log_norm)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        queries = self.project(layer) @ self.whitening.T
        exponents = -((queries[:, None] - self.points) ** 2).sum(2) / 2
        largest = exponents.amax(1, keepdim=True)  # else the exponentials underflow
        log_sum = largest[:, 0] + (exponents - largest).exp().sum(1).log()
        return -(self.log_norm + log_sum), None
