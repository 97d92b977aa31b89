"""Feature maps of several layers as one vector per position."""

import numpy as np

from defectbench.scorers.grids import bilinear, finest_grid, neighbourhood_mean


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
