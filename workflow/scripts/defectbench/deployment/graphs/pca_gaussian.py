"""Graph of `scorers.pca_gaussian`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Projection, Scored


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
