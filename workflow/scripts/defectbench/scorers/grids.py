"""Feature and anomaly maps brought to another grid, smoothed, joined as one vector per place."""

from collections.abc import Sequence
from math import prod

import numpy as np

from defectbench.scorers.layers import Layer

Grid = tuple[int, int]


def bilinear(
    maps: np.ndarray, grid: Grid, part: tuple[slice, slice] = (slice(None), slice(None))
) -> np.ndarray:
    """Resize by bilinear interpolation, without antialiasing; corners of pixels are aligned.

    Parameters
    ----------
    maps
        float32 or float64, (…, height, width).
    grid
        New height and width.
    part
        Rows and columns of it that are wanted; the others are not computed.

    Returns
    -------
    ndarray
        (…, *grid) or that part of it, dtype of `maps`; a view of `maps` if it has that grid. Equals
        `torch.nn.functional.interpolate(…, mode="bilinear", align_corners=False)` to rounding.
    """
    if maps.shape[-2:] == grid:
        return maps[..., part[0], part[1]]
    down = _linear_taps(maps.shape[-2], grid[0], maps.dtype)
    across = _linear_taps(maps.shape[-1], grid[1], maps.dtype)
    top, bottom, below = (each[part[0]] for each in down)
    left, right, beside = (each[part[1]] for each in across)
    wide = maps[..., left] * (1 - beside)
    wide += maps[..., right] * beside
    tall = wide[..., top, :]
    tall *= (1 - below)[:, None]
    lower = wide[..., bottom, :]
    lower *= below[:, None]
    tall += lower
    return tall


def _linear_taps(
    length: int, size: int, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two source positions per target pixel, and the weight of the second."""
    # in the dtype of the maps, as PyTorch computes it: the last bit of a position decides a weight
    scale = dtype.type(length) / dtype.type(size)
    position = np.maximum(scale * (np.arange(size, dtype=dtype) + dtype.type(0.5)) - 0.5, 0)
    first = np.minimum(position.astype(np.int64), length - 1)
    second = np.minimum(first + 1, length - 1)
    return first, second, (position - first).astype(dtype)


def nearest(maps: np.ndarray, grid: Grid) -> np.ndarray:
    """Resize (…, height, width) by repeating the nearest value: (…, *grid)."""
    rows, columns = (
        np.arange(length) * old // length for length, old in zip(grid, maps.shape[-2:], strict=True)
    )
    return maps[..., rows[:, None], columns]


def finest_grid(layers: Sequence[Layer]) -> Grid:
    """Height and width of the layer with the most positions."""
    height, width = max((layer.shape[-2:] for layer in layers), key=prod)
    return height, width


def neighbourhood_mean(maps: np.ndarray) -> np.ndarray:
    """Mean of each 3×3 neighbourhood; beyond the border are zeros, and they count."""
    return _filter(maps, np.full(3, 1 / 3), "constant")


def gaussian_blur(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (…, height, width) with a Gaussian cut at 4 sigma, mirrored at the border's centre.

    Parameters
    ----------
    maps
        float32 or float64; computed in float64, returned in its own dtype.
    sigma
        Standard deviation in pixels; sigma 4 gives 33 taps.
    """
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return _filter(maps, taps / taps.sum(), "mirror")


def _filter(maps: np.ndarray, taps: np.ndarray, border: str) -> np.ndarray:
    from scipy.ndimage import correlate1d  # not when a config is merely checked: 0.2 s

    return correlate1d(correlate1d(maps, taps, axis=-1, mode=border), taps, axis=-2, mode=border)


def smooth_maps(maps: np.ndarray, size: int) -> np.ndarray:
    """Bilinear to a finer grid, then a blur; see `map_shape` and `map_sigma`.

    Parameters
    ----------
    maps
        float32, (n_images, height, width).
    size
        Longer side of the new grid.

    Returns
    -------
    ndarray
        float32, (n_images, new height, new width).
    """
    grid = maps.shape[1:]
    shape = map_shape(grid, size)
    smooth = np.empty((len(maps), *shape), np.float32)
    for image, low in zip(smooth, maps, strict=True):
        image[:] = gaussian_blur(bilinear(low, shape), map_sigma(grid, size))
    return smooth


def map_shape(grid: Grid, size: int) -> Grid:
    """Height and width of a map whose longer side is `size`, or the grid's if that is more."""
    longer, longest = max(size, *grid), max(grid)
    height, width = (max(1, round(length * longer / longest)) for length in grid)
    return height, width


def map_sigma(grid: Grid, size: int) -> float:
    """Standard deviation of a map's blur, in its pixels.

    A 64th of the longer side, 4 pixels of 256, as published; where the grid has more positions than
    64 that would blur what they tell apart, and it is one of them.
    """
    return max(map_shape(grid, size)) / max(64, *grid)


def patch_features(layers: list[np.ndarray], *, neighbourhood: bool = False) -> np.ndarray:
    """Concatenate layers at each position of the finest one's grid.

    This is done when a model is fitted and when it scores: the feature files then hold each layer
    once, at its own resolution, for every method that reads it.

    Parameters
    ----------
    layers
        Each float32, (n_images, channels, height, width).
    neighbourhood
        Whether each layer is first averaged over 3×3 neighbourhoods.

    Returns
    -------
    ndarray
        float32, (n_images, height, width, channels of all layers); coarser layers are brought to
        the grid bilinearly.
    """
    grid = finest_grid(layers)
    channels = sum(layer.shape[1] for layer in layers)
    patches = np.empty((len(layers[0]), *grid, channels), np.float32)
    for number, image in enumerate(patches):
        first = 0
        for layer in layers:
            maps = layer[number].astype(np.float32, copy=False)
            maps = bilinear(neighbourhood_mean(maps) if neighbourhood else maps, grid)
            image[:, :, first : first + len(maps)] = maps.transpose(1, 2, 0)
            first += len(maps)
    return patches
