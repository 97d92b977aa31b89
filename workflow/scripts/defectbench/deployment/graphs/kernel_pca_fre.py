"""Graph of `scorers.kernel_pca_fre`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Scored, SquaredDistances


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
