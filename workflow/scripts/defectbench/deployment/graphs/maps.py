"""Graphs of the scorers that say where a defect is, named as the scorers are."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import (
    Arrays,
    Graph,
    Scored,
    apply_to_axes,
    patches,
    resize,
    smoothing_matrix,
)


class PcaFre(Graph):
    """Squared residuals and their map.

    The residual is formed and not the difference of two norms, which loses in float32 what the
    norms have in common.
    """

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.n_layers = len(arrays["layer_means"])
        for number in range(self.n_layers):
            self.keep(
                **{
                    f"mean_{number}": arrays[f"mean_{number}"],
                    f"components_{number}": arrays[f"components_{number}"],
                }
            )
        self.layer_means = [float(mean) for mean in arrays["layer_means"]]
        self.map_size = parameters.get("map_size")
        self.takes_maximum = parameters.get("image_score", "sum") == "max"

    def forward(self, features: list[torch.Tensor]) -> Scored:
        if features[0].ndim == 2:
            (layer,) = features
            return self._squared_residual(layer, 0).double().sum(1), None
        maps = [self._squared_residual(layer, i).sum(1) for i, layer in enumerate(features)]
        if self.n_layers > 1:
            combined = self._combine(maps, [layer.shape[1] for layer in features])
        else:
            (combined,) = maps
        if self.takes_maximum:
            return combined.amax((1, 2)).double(), combined
        return combined.double().sum((1, 2)), combined

    def _squared_residual(self, layer: torch.Tensor, number: int) -> torch.Tensor:
        mean = getattr(self, f"mean_{number}")
        components = getattr(self, f"components_{number}")
        centred = (layer.flatten(1).double() - mean).float()
        residual = centred - (centred @ components.T) @ components
        return (residual**2).view(layer.shape)

    def _combine(self, maps: list[torch.Tensor], channels: list[int]) -> torch.Tensor:
        finest = max((tuple(layer.shape[1:]) for layer in maps), key=np.prod)
        grid = (self.map_size, self.map_size) if self.map_size else finest
        combined = 0
        for layer, count, mean in zip(maps, channels, self.layer_means, strict=True):
            combined = combined + resize(layer / (count * mean * len(maps)), grid)
        return combined


class Padim(Graph):
    """Mahalanobis distance at each position, smoothed; the score is its maximum."""

    def __init__(self, arrays: Arrays, parameters: dict) -> None:
        super().__init__()
        self.height, self.width, size = arrays["mean"].shape
        self.channels = arrays["channels"]
        map_size = parameters.get("map_size", 256)
        self.keep(
            mean=arrays["mean"].reshape(-1, 1, size),
            whitening=arrays["whitening"].reshape(-1, size, size),
            to_rows=smoothing_matrix(self.height, map_size),
            to_columns=smoothing_matrix(self.width, map_size),
        )

    def forward(self, features: list[torch.Tensor]) -> Scored:
        kept = self._kept_channels(features).flatten(2).permute(2, 0, 1)
        whitened = (kept - self.mean) @ self.whitening.transpose(1, 2)
        distances = (whitened**2).sum(2).sqrt().T.unflatten(1, (self.height, self.width))
        smooth = apply_to_axes(distances.double(), self.to_rows, self.to_columns).float()
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
