"""Graph of `scorers.pca_kde`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Projection, Scored


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
