"""A PyTorch module for each scorer that can be exported, named as the scorer is."""

import numpy as np
import torch

from defectbench.deployment.graphs import parts
from defectbench.deployment.graphs.parts import Arrays, Graph, SquaredDistances, as_matrix
from defectbench.scorers.grids import finest_grid, map_shape

Scored = tuple[torch.Tensor, torch.Tensor | None]


class OfTiles(torch.nn.Module):
    """A scorer's graph; the largest score of the tiles where features are vectors of tiles."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, features: list[torch.Tensor]) -> Scored:
        if features[0].ndim != 3:
            return self.graph(features)
        scores, _ = self.graph([features[0].flatten(0, 1)])
        return scores.unflatten(0, features[0].shape[:2]).amax(1), None


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
    """Squared Mahalanobis distance: along the kept directions, and along all others."""

    def forward(self, features: list[torch.Tensor]) -> Scored:
        centred = as_matrix(features) - self.mean
        squared = (centred @ self.directions.double().T) ** 2
        rest = ((centred**2).sum(1) - squared.sum(1)).clamp(min=0)
        return squared @ self.weights + self.rest_weight * rest, None


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


class PcaFre(Graph):
    """Squared residuals and their map."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__(arrays)
        # numbers of Python, which the exporter rounds to float32: the maps are float32
        self.means_of_maps = arrays["layer_means"].tolist()
        self.map_size = parameters.get("map_size")
        self.takes_maximum = parameters.get("image_score", "sum") == "max"

    def forward(self, features: list[torch.Tensor]) -> Scored:
        residuals = [self._squared_residual(layer, i) for i, layer in enumerate(features)]
        if features[0].ndim == 2:
            return residuals[0].double().sum(1), None
        maps = [residual.sum(1) for residual in residuals]
        combined = self._combine(maps, features) if len(maps) > 1 else maps[0]
        if self.takes_maximum:
            return combined.amax((1, 2)).double(), combined
        return combined.double().sum((1, 2)), combined

    def _squared_residual(self, layer: torch.Tensor, number: int) -> torch.Tensor:
        mean, components = (getattr(self, f"{name}_{number}") for name in ("mean", "components"))
        return parts.squared_residual(layer.flatten(1), mean, components).view(layer.shape)

    def _combine(self, maps: list[torch.Tensor], features: list[torch.Tensor]) -> torch.Tensor:
        finest = finest_grid(maps)
        grid = map_shape(finest, self.map_size) if self.map_size else finest
        combined = 0
        for found, layer, mean in zip(maps, features, self.means_of_maps, strict=True):
            scale = layer.shape[1] * mean * len(maps)
            combined = combined + parts.resize(found / scale, grid)
        return combined


class Padim(Graph):
    """Mahalanobis distance at each position, smoothed; the score is its maximum."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        height, width, size = arrays["mean"].shape
        mean, whitening = arrays["mean"], arrays["whitening"]
        super().__init__(
            {"mean": mean.reshape(-1, 1, size), "whitening": whitening.reshape(-1, size, size)}
        )
        self.height, self.width, self.channels = height, width, arrays["channels"]
        self.map_size = parameters.get("map_size", 256)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        kept = self._kept_channels(features).flatten(2).permute(2, 0, 1)
        whitened = (kept - self.mean) @ self.whitening.transpose(1, 2)
        distances = (whitened**2).sum(2).sqrt().T.unflatten(1, (self.height, self.width))
        smooth = parts.smooth(distances, self.map_size)
        return smooth.amax((1, 2)).double(), smooth

    def _kept_channels(self, features: list[torch.Tensor]) -> torch.Tensor:
        """(n_images, n_channels, height, width), coarser layers repeated, in the stored order."""
        parts, order, first = [], [], 0
        for layer in features:
            count, rows, columns = layer.shape[1:]
            here = np.flatnonzero((self.channels >= first) & (self.channels < first + count))
            part = layer[:, torch.from_numpy(self.channels[here] - first)]
            part = part[:, :, torch.arange(self.height) * rows // self.height]
            parts.append(part[:, :, :, torch.arange(self.width) * columns // self.width])
            order.append(here)
            first += count
        return torch.cat(parts, 1)[:, torch.from_numpy(np.argsort(np.concatenate(order)))]


class PatchSubspace(Graph):
    """Squared residual of each patch; the score is the mean of the largest hundredth."""

    def forward(self, features: list[torch.Tensor]) -> Scored:
        vectors = parts.patches(features)
        found = parts.squared_residual(vectors, self.mean, self.components).sum(3)
        positions = found.shape[1] * found.shape[2]
        largest, _ = found.flatten(1).topk(max(1, positions // 100), dim=1)
        return largest.double().mean(1), found


class Patchcore(Graph):
    """Distance of each patch to the nearest kept one, smoothed, and the weighted largest."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        memory = arrays["memory"]
        centre = memory.mean(axis=0)
        centred = memory - centre  # smaller norms lose less to rounding
        norms = np.einsum("ij,ij->i", centred, centred)
        super().__init__({"memory": memory, "centre": centre, "norms": norms})
        self.support = min(parameters.get("neighbours", 9), len(memory))
        self.map_size = parameters.get("map_size", 256)

    def forward(self, features: list[torch.Tensor]) -> Scored:
        vectors = parts.patches(features, neighbourhood=True)
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
        grid = found.float().unflatten(1, (height, width))
        return score, parts.smooth(grid, self.map_size)

    def _weight(self, patch: torch.Tensor, neighbour: torch.Tensor) -> torch.Tensor:
        """One less the share of the nearest in a softmax over the kept patches around it.

        `patch` and `neighbour` are (n_images, 1, channels).
        """
        around = (self.memory - neighbour).square().sum(2)
        _, rows = around.topk(self.support, dim=1, largest=False)
        distances = (self.memory[rows].double() - patch.double()).square().sum(2).sqrt()
        shares = (distances - distances.amax(1, keepdim=True)).exp()
        return 1 - shares[:, 0] / shares.sum(1)
