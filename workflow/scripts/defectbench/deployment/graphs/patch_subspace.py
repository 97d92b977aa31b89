"""Graph of `scorers.patch_subspace`."""

import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Scored, patches


class PatchSubspace(Graph):
    """Squared residual of each patch; the score is the mean of the largest hundredth."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.keep(mean=arrays["mean"], components=arrays["components"])

    def forward(self, features: list[torch.Tensor]) -> Scored:
        centred = (patches(features).double() - self.mean).float()
        residual = centred - (centred @ self.components.T) @ self.components
        found = (residual**2).sum(3)
        positions = found.shape[1] * found.shape[2]
        largest, _ = found.flatten(1).topk(max(1, positions // 100), dim=1)
        return largest.double().mean(1), found
