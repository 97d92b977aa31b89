"""What the exported scorers have in common: constants, distances, resized maps, patches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from defectbench.scorers.grids import (
    bilinear,
    finest_grid,
    gaussian_blur,
    map_shape,
    map_sigma,
)
from defectbench.scorers.linear_algebra import BLOCK

Arrays = Mapping[str, np.ndarray]


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

    def __init__(self, arrays: Arrays, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)))


class SquaredDistances(Graph):
    """Squared distances of one layer's features to stored points: float64, (n_images, n_points).

    The points are centred before they are rounded to float32, so that a large mean costs no
    accuracy, and their norms are those of the rounded ones.
    """

    def __init__(self, points: np.ndarray) -> None:
        points = points.reshape(len(points), -1)  # maps are stored in their shape
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
    grid = (int(maps.shape[-2]), int(maps.shape[-1]))
    sigma = map_sigma(grid, size)
    to_rows, to_columns = (
        torch.from_numpy(gaussian_blur(bilinear(np.eye(old)[:, :, None], (new, 1)), sigma))
        for old, new in zip(grid, map_shape(grid, size), strict=True)
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
