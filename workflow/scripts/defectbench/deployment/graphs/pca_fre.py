"""Graph of `scorers.pca_fre`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import (
    Arrays,
    Graph,
    Scored,
    apply_to_axes,
    bilinear_matrix,
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
            to_rows, to_columns = (
                torch.from_numpy(bilinear_matrix(old, new))
                for old, new in zip(layer.shape[1:], grid, strict=True)
            )
            scaled = layer / (count * mean * len(maps))
            combined = combined + apply_to_axes(scaled, to_rows, to_columns)
        return combined
