"""What graphs of several scorers share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from defectbench.scorers.grids import bilinear, gaussian_blur
from defectbench.scorers.linear_algebra import BLOCK

Arrays = Mapping[str, np.ndarray]
Scored = tuple[torch.Tensor, torch.Tensor | None]


class Graph(torch.nn.Module):
    """Keeps arrays as constants of the exported graph."""

    def keep(self, **arrays: Any) -> None:
        """Make each array an attribute of the name; its dtype stays.

        Numbers too: the exporter rounds a Python float to float32.
        """
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)))


class Projection(Graph):
    """Coordinates on principal components, float64 as in `scorers.linear_algebra.project`."""

    def __init__(self, mean: np.ndarray, components: np.ndarray) -> None:
        super().__init__()
        self.keep(mean=mean.astype(np.float64), components=components)

    def forward(self, layer: torch.Tensor) -> torch.Tensor:
        centred = layer.flatten(1).double() - self.mean
        return centred @ self.components.double().T


class SquaredDistances(Graph):
    """Squared distances to stored points: float64, (n_images, n_points).

    The points are centred before they are rounded to float32, so that a large mean costs no
    accuracy, and their norms are those of the rounded ones.
    """

    def __init__(self, points: np.ndarray) -> None:
        super().__init__()
        origin = points.mean(axis=0, dtype=np.float64)
        centred = np.empty(points.shape, np.float32)
        norms = np.zeros(len(points))
        for start in range(0, points.shape[1], BLOCK):
            columns = slice(start, start + BLOCK)
            centred[:, columns] = points[:, columns] - origin[columns]
            norms += (centred[:, columns].astype(np.float64) ** 2).sum(axis=1)
        self.keep(origin=origin, points=centred, norms=norms)

    def forward(self, layer: torch.Tensor) -> torch.Tensor:
        centred = layer.flatten(1).double() - self.origin
        own = (centred**2).sum(1, keepdim=True)
        return (own + self.norms - 2 * centred @ self.points.double().T).clamp(min=0)


def resize(maps: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """What `scorers.grids.bilinear` gives, as a product with a matrix for either axis."""
    to_rows, to_columns = (
        torch.from_numpy(bilinear(np.eye(old, dtype=np.float32), (new, old)))
        for old, new in zip(maps.shape[-2:], grid, strict=True)
    )
    return apply_to_axes(maps, to_rows, to_columns)


def smoothing_matrix(old: int, size: int) -> np.ndarray:
    """`scorers.grids.smooth_maps` along one axis as a matrix: float64, (size, old)."""
    columns = np.eye(old)[:, :, None]
    return gaussian_blur(bilinear(columns, (size, 1)), size / 64)[:, :, 0].T


def apply_to_axes(
    maps: torch.Tensor, to_rows: torch.Tensor, to_columns: torch.Tensor
) -> torch.Tensor:
    """Maps (..., height, width) with a matrix applied to either axis."""
    return to_rows @ maps @ to_columns.T


def patches(features: list[torch.Tensor], *, neighbourhood: bool = False) -> torch.Tensor:
    """What `scorers.grids.patch_features` gives: (n_images, height, width, channels)."""
    grid = max((tuple(layer.shape[2:]) for layer in features), key=np.prod)
    parts = []
    for layer in features:
        if neighbourhood:
            layer = torch.nn.functional.avg_pool2d(layer, 3, stride=1, padding=1)
        if tuple(layer.shape[2:]) != grid:
            layer = resize(layer, grid)
        parts.append(layer)
    return torch.cat(parts, 1).permute(0, 2, 3, 1)
