"""Graph of `scorers.nearest_neighbour`."""

import torch

from defectbench.deployment.graphs.modules import Arrays, Graph, Scored, SquaredDistances


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
