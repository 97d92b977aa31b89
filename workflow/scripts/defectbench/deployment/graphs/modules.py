"""A PyTorch module for each scorer that can be exported, named as the scorer is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from defectbench.deployment.graphs import modules
from defectbench.scorers.grids import bilinear, finest_grid, gaussian_blur
from defectbench.scorers.linear_algebra import BLOCK

Arrays = Mapping[str, np.ndarray]
Scored = tuple[torch.Tensor, torch.Tensor | None]


class Graph(torch.nn.Module):
    """Keeps arrays as constants of the exported graph.

    Parameters
    ----------
    arrays
        Each becomes an attribute of its name; its dtype stays. Numbers too: the exporter rounds a
        Python float to float32.
    parameters
        Of the scorer's constructor, for graphs that depend on them.
    """

    def __init__(self, arrays: Mapping[str, Any], parameters: Mapping[str, Any] | None = None):
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)))


class SquaredDistances(Graph):
    """Squared distances of one layer's features to stored points: float64, (n_images, n_points).

    The points are centred before they are rounded to float32, so that a large mean costs no
    accuracy, and their norms are those of the rounded ones.
    """

    def __init__(self, points: np.ndarray) -> None:
        origin = points.mean(axis=0, dtype=np.float64)
        centred = np.empty(points.shape, np.float32)
        norms = np.zeros(len(points))
        for start in range(0, points.shape[1], BLOCK):
            columns = slice(start, start + BLOCK)
            centred[:, columns] = points[:, columns] - origin[columns]
            norms += (centred[:, columns].astype(np.float64) ** 2).sum(axis=1)
        super().__init__({"origin": origin, "points": centred, "norms": norms})

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        centred = as_matrix(features) - self.origin
        own = (centred**2).sum(1, keepdim=True)
        return (own + self.norms - 2 * centred @ self.points.double().T).clamp(min=0)


def as_matrix(features: list[torch.Tensor]) -> torch.Tensor:
    """Features of the one layer that is read, float64, (n_images, n_dimensions)."""
    (layer,) = features
    return layer.flatten(1).double()


def squared_residual(
    vectors: torch.Tensor, mean: torch.Tensor, components: torch.Tensor
) -> torch.Tensor:
    """Squared error between vectors (…, n_dimensions) and their reconstruction, in each dimension.

    The residual is formed and not the difference of two norms, which loses in float32 what the
    norms have in common.
    """
    centred = (vectors.double() - mean).float()
    return (centred - (centred @ components.T) @ components) ** 2


def resize(maps: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """What `scorers.grids.bilinear` gives, as a product with a matrix for either axis."""
    to_rows, to_columns = (
        torch.from_numpy(bilinear(np.eye(old, dtype=np.float32), (new, old)))
        for old, new in zip(maps.shape[-2:], grid, strict=True)
    )
    return to_rows @ maps @ to_columns.T


def smooth(maps: torch.Tensor, size: int) -> torch.Tensor:
    """What `scorers.grids.smooth_maps` gives, as a product with a matrix for either axis."""
    to_rows, to_columns = (
        torch.from_numpy(gaussian_blur(bilinear(np.eye(old)[:, :, None], (size, 1)), size / 64))
        for old in maps.shape[-2:]
    )
    return (to_rows[:, :, 0].T @ maps.double() @ to_columns[:, :, 0]).float()


def patches(features: list[torch.Tensor], *, neighbourhood: bool = False) -> torch.Tensor:
    """What `scorers.grids.patch_features` gives: (n_images, height, width, channels)."""
    grid = finest_grid(features)
    parts = []
    for layer in features:
        if neighbourhood:
            layer = torch.nn.functional.avg_pool2d(layer, 3, stride=1, padding=1)
        if tuple(layer.shape[2:]) != grid:
            layer = resize(layer, grid)
        parts.append(layer)
    return torch.cat(parts, 1).permute(0, 2, 3, 1)


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
    """Squared Mahalanobis distance: along the kept directions, and along all others together."""

    def forward(self, features: list[torch.Tensor]) -> Scored:
        centred = as_matrix(features) - self.mean
        squared = (centred @ self.directions.double().T) ** 2
        rest = ((centred**2).sum(1) - squared.sum(1)).clamp(min=0)
        return squared @ self.weights + self.rest_weight * rest, None


class NearestNeighbour(Graph):
    """Mean distance to the nearest training features."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__({})
        points = arrays["points"]  # as they lay on disk, maps may have kept their shape
        self.squared_distances = SquaredDistances(points.reshape(len(points), -1))
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
