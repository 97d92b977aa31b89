"""Graph of `scorers.padim`."""

import numpy as np
import torch

from defectbench.deployment.graphs.modules import (
    Arrays,
    Graph,
    Scored,
    apply_to_axes,
    smoothing_matrix,
)


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
