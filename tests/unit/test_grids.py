"""Resizing and smoothing of maps equal PyTorch's, which the references use."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from defectbench.scorers.grids import bilinear, gaussian_blur, nearest, neighbourhood_mean

MAPS = np.random.default_rng(42).normal(size=(2, 3, 7, 9)).astype(np.float32)


@pytest.mark.parametrize("grid", [(7, 9), (28, 36), (20, 13), (5, 4), (1, 1)])
def test_bilinear_is_pytorchs(grid: tuple[int, int]):
    expected = functional.interpolate(torch.from_numpy(MAPS), grid, mode="bilinear").numpy()
    found = bilinear(MAPS, grid)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grid", [(14, 18), (20, 13), (5, 4)])
def test_nearest_is_pytorchs(grid: tuple[int, int]):
    expected = functional.interpolate(torch.from_numpy(MAPS), grid, mode="nearest").numpy()
    np.testing.assert_array_equal(nearest(MAPS, grid), expected)


def test_neighbourhood_mean_is_pytorchs_average_pool():
    expected = functional.avg_pool2d(torch.from_numpy(MAPS), 3, stride=1, padding=1).numpy()
    np.testing.assert_allclose(neighbourhood_mean(MAPS), expected, atol=1e-6)


def test_blur_is_a_convolution_with_33_taps_mirrored_at_the_border():
    maps = np.random.default_rng(42).normal(size=(2, 1, 40, 50)).astype(np.float32)
    taps = torch.exp(-(torch.arange(-16, 17) ** 2) / 32)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    padded = functional.pad(torch.from_numpy(maps), (16, 16, 16, 16), mode="reflect")
    expected = functional.conv2d(padded, kernel[None, None]).numpy()
    np.testing.assert_allclose(gaussian_blur(maps, 4), expected, atol=1e-6)
