"""Graphs of the scorers that say where a defect is, named as the scorers are."""

import numpy as np
import torch

from defectbench.deployment.graphs import modules
from defectbench.deployment.graphs.modules import Arrays, Graph, Scored
from defectbench.scorers.grids import finest_grid


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
        return modules.squared_residual(layer.flatten(1), mean, components).view(layer.shape)

    def _combine(self, maps: list[torch.Tensor], features: list[torch.Tensor]) -> torch.Tensor:
        grid = (self.map_size, self.map_size) if self.map_size else finest_grid(maps)
        combined = 0
        for found, layer, mean in zip(maps, features, self.means_of_maps, strict=True):
            scale = layer.shape[1] * mean * len(maps)
            combined = combined + modules.resize(found / scale, grid)
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
        smooth = modules.smooth(distances, self.map_size)
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
        vectors = modules.patches(features)
        found = modules.squared_residual(vectors, self.mean, self.components).sum(3)
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
        vectors = modules.patches(features, neighbourhood=True)
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
        return score, modules.smooth(grid, self.map_size)

    def _weight(self, patch: torch.Tensor, neighbour: torch.Tensor) -> torch.Tensor:
        """One less the share of the nearest in a softmax over the kept patches around it.

        `patch` and `neighbour` are (n_images, 1, channels).
        """
        around = (self.memory - neighbour).square().sum(2)
        _, rows = around.topk(self.support, dim=1, largest=False)
        distances = (self.memory[rows].double() - patch.double()).square().sum(2).sqrt()
        shares = (distances - distances.amax(1, keepdim=True)).exp()
        return 1 - shares[:, 0] / shares.sum(1)
