"""Graph of `scorers.mahalanobis`."""

import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Scored


class Mahalanobis(Graph):
    """Squared Mahalanobis distance, float64 throughout."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.keep(mean=arrays["mean"], precision=arrays["precision"])

    def forward(self, features: list[torch.Tensor]) -> Scored:
        (layer,) = features
        centred = layer.flatten(1).double() - self.mean
        return ((centred @ self.precision) * centred).sum(1), None
