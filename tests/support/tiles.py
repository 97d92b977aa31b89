"""Photographs of tiles, several exposures of each, as feature vectors."""

import numpy as np

LATENT, DIMENSIONS = 12, 64


def tile_features(
    seed: int, tiles: int, exposures: int, *, exposure_noise: float = 0.1
) -> tuple[np.ndarray, list[str]]:
    """Features of tiles that differ in `LATENT` ways, and of exposures that differ a little.

    Returns
    -------
    X : ndarray
        float32, (tiles × exposures, `DIMENSIONS`), the exposures of a tile one after the other.
    groups : list of str
        Each row's tile.
    """
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(LATENT, DIMENSIONS))
    of_tiles = rng.normal(size=(tiles, LATENT)) @ mixing
    noise = rng.normal(size=(tiles * exposures, DIMENSIONS)) * exposure_noise * LATENT**0.5
    groups = [f"tile{number:03}" for number in range(tiles) for _ in range(exposures)]
    return (np.repeat(of_tiles, exposures, axis=0) + noise).astype(np.float32), groups
