"""Anomaly maps brought to the size of their images."""

import numpy as np


def upsample_bilinear(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres, edges clamped, without antialiasing.

    As ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``, in the maps' own
    precision.

    Parameters
    ----------
    maps
        Floating point, (..., rows, columns).
    height, width
        Size wanted, in pixels.

    Returns
    -------
    ndarray
        Of the same dtype, (..., height, width).
    """
    top, bottom, below = _taps(maps.shape[-2], height, maps.dtype)
    left, right, beside = _taps(maps.shape[-1], width, maps.dtype)
    wide = maps[..., left] * (1 - beside)
    wide += maps[..., right] * beside
    tall = wide[..., top, :]
    tall *= (1 - below)[:, None]
    part = wide[..., bottom, :]
    part *= below[:, None]
    tall += part
    return tall


def _taps(length: int, size: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two source positions per target pixel, and the weight of the second."""
    scale = dtype.type(length) / dtype.type(size)
    position = np.maximum(scale * (np.arange(size, dtype=dtype) + dtype.type(0.5)) - 0.5, 0)
    first = np.minimum(position.astype(np.int64), length - 1)
    second = np.minimum(first + 1, length - 1)
    return first, second, (position - first).astype(dtype)
