"""Features of one layer as a matrix, block by block or whole."""

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.layers import Features, Layer, image_blocks, layer_list, read_images


def one_layer(X: Features) -> Layer:
    """The layer of a scorer that reads only one.

    Raises
    ------
    InputError
        If there are several layers, or the features are unusable otherwise.
    """
    layers = layer_list(X)
    if len(layers) > 1:
        raise InputError(f"this scorer reads one layer, {len(layers)} were given; name one")
    return layers[0]


def matrix_shape(X: Features) -> tuple[int, int]:
    """Images and dimensions of one layer, maps flattened."""
    layer = one_layer(X)
    return len(layer), prod(layer.shape[1:])


def matrix_blocks(X: Features, stop: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Like `image_blocks`, of one layer as matrices (images, dimensions), maps flattened."""
    for rows, (block,) in image_blocks(one_layer(X), stop):
        yield rows, block.reshape(len(block), -1)


def block_scores(X: Features, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `score` says of each block of one layer as a matrix, joined in order of the images."""
    return np.concatenate([score(block) for _, block in matrix_blocks(X)])


def as_matrix(X: Features) -> np.ndarray:
    """Features of one layer as one matrix (n_images, n_dimensions), maps flattened.

    For scorers that need all images in memory at once.

    Raises
    ------
    InputError
        If there are several layers, or the features are unusable otherwise.
    """
    layer = one_layer(X)
    (whole,) = read_images([layer], slice(0, len(layer)))
    return whole.reshape(len(layer), -1)
