"""Feature maps of tiles joined to that of their canvas, and maps of a part laid on the canvas."""

from collections.abc import Sequence

import numpy as np
import torch

from defectbench.errors import InputError
from defectbench.images.canvas import Place, Shape
from defectbench.images.tiles import Tiling, tile_weights


def joined(tiles: Sequence[torch.Tensor], tiling: Tiling, layer: str) -> torch.Tensor:
    """Feature maps of tiles, blended where the tiles overlap.

    Parameters
    ----------
    tiles
        Of each tile, row by row: float32, (n_images, channels, side, side).
    tiling
        Where they lie.
    layer
        Name, for errors.

    Returns
    -------
    Tensor
        float32, (n_images, channels, height, width).

    Raises
    ------
    InputError
        If positions of the maps do not fall on each other.
    """
    side = tiles[0].shape[-1]
    stride = tiling.size / side
    if any(start % stride for start in (*tiling.tops, *tiling.lefts)):
        raise InputError(
            f"layer {layer}: has {side} positions along a tile of {tiling.size} pixels, which do "
            "not divide it evenly; choose tiles of another size, or another layer"
        )
    tops, lefts = (
        tuple(int(start // stride) for start in starts) for starts in (tiling.tops, tiling.lefts)
    )
    across = len(lefts)
    rows = [
        _joined_along(tiles[first : first + across], lefts, -1)
        for first in range(0, len(tiles), across)
    ]
    return _joined_along(rows, tops, -2)


def _joined_along(
    parts: Sequence[torch.Tensor], starts: tuple[int, ...], axis: int
) -> torch.Tensor:
    """Parts that begin at some positions of an axis, -1 or -2, blended where they overlap."""
    if len(parts) == 1:
        return parts[0]
    size = parts[0].shape[axis]
    length, whole = starts[-1] + size, 0
    for part, start, weights in zip(parts, starts, tile_weights(starts, size), strict=True):
        shares = torch.from_numpy(weights).to(part.device)
        shares = shares if axis == -1 else shares[:, None]
        ends = [start, length - start - size]
        whole = whole + torch.nn.functional.pad(
            part * shares, ends if axis == -1 else [0, 0, *ends]
        )
    return whole


def laid_out(feature_map: torch.Tensor, place: Place, canvas: Shape, grid: Shape) -> torch.Tensor:
    """A feature map of an image that covers a part of the canvas, on the grid of all of it.

    Beyond the image, every position repeats the nearest one of the image.

    Parameters
    ----------
    feature_map
        (n_images, channels, height, width).
    place, canvas
        Of the image, and of the canvas that it lies on.
    grid
        Height and width of the layer's map of a whole canvas.
    """
    for axis, (start, side, length, own) in enumerate(
        zip(place[:2], canvas, grid, feature_map.shape[2:], strict=True), start=2
    ):
        positions = np.arange(length) - min(start * length // side, length - own)
        nearest = torch.from_numpy(positions.clip(0, own - 1)).to(feature_map.device)
        feature_map = feature_map.index_select(axis, nearest)
    return feature_map
