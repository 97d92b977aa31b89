"""Graph of `scorers.patchcore`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import (
    Arrays,
    Graph,
    Scored,
    apply_to_axes,
    patches,
    smoothing_matrix,
)


class Patchcore(Graph):
    """Distance of each patch to the nearest kept one, smoothed, and the weighted largest."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        memory = arrays["memory"]
        centre = memory.mean(axis=0)
        centred = memory - centre  # smaller norms lose less to rounding
        norms = np.einsum("ij,ij->i", centred, centred)
        self.keep(memory=memory, centre=centre, norms=norms)
        self.support = min(parameters.get("neighbours", 9), len(memory))
        self.map_size = parameters.get("map_size", 256)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        vectors = patches(features, neighbourhood=True)
        n_images, height, width, channels = vectors.shape
        vectors = vectors.reshape(n_images, height * width, channels)
        centred = vectors - self.centre
        nearest = (self.norms - 2 * centred @ (self.memory - self.centre).T).argmin(2)
        found = (vectors.double() - self.memory[nearest].double()).square().sum(2).sqrt()
        score, farthest = found.max(1)
        if self.support > 1:
            chosen = torch.arange(height * width) == farthest[:, None]
            patch = chosen.float()[:, None] @ vectors
            neighbour = self.memory[nearest.gather(1, farthest[:, None])]
            score = score * self._weight(patch, neighbour)
        to_rows, to_columns = (
            torch.from_numpy(smoothing_matrix(old, self.map_size)) for old in (height, width)
        )
        grid = found.float().unflatten(1, (height, width)).double()
        return score, apply_to_axes(grid, to_rows, to_columns).float()

    def _weight(self, patch: torch.Tensor, neighbour: torch.Tensor) -> torch.Tensor:
        """One less the share of the nearest in a softmax over the kept patches around it.

        `patch` and `neighbour` are (n_images, 1, channels).
        """
        around = (self.memory - neighbour).square().sum(2)
        _, rows = around.topk(self.support, dim=1, largest=False)
        distances = (self.memory[rows].double() - patch.double()).square().sum(2).sqrt()
        shares = (distances - distances.amax(1, keepdim=True)).exp()
        return 1 - shares[:, 0] / shares.sum(1)
