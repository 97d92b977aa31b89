"""Outputs of a network's inner layers, all from one forward pass."""

import contextlib
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any

import torch

from defectbench.errors import InputError
from defectbench.features.feature_file import Tap


class TappedNetwork:
    """A network that runs no further than its deepest tapped layer.

    A layer that the network calls more than once gives its first output, so that what a tap gives
    does not depend on the other taps.

    Parameters
    ----------
    network
        In eval mode.
    taps
        What to read from it.

    Raises
    ------
    InputError
        If the network has no such layer; the message lists those it has.
    """

    def __init__(self, network: torch.nn.Module, taps: Sequence[Tap]) -> None:
        modules = dict(network.named_modules())
        for tap in taps:
            if tap.layer not in modules:
                layers = ", ".join(name for name in modules if name.count(".") < 2 and name)
                raise InputError(
                    f"layer {tap.layer}: the backbone has no such layer; it has {layers}"
                )
        self._network = network
        self._modules = {tap: modules[tap.layer] for tap in taps}

    def __call__(self, batch: torch.Tensor) -> dict[Tap, torch.Tensor]:
        """Features of normalised images.

        Parameters
        ----------
        batch
            In the network's precision, (n, 3, height, width).

        Returns
        -------
        dict of Tap to Tensor
            float32 on the CPU: (n, channels, height, width) of a layer whose output has a place in
            the image, (n, dimensions) of any other.

        Raises
        ------
        InputError
            If the forward pass does not use a layer, or its output cannot be a feature.
        """
        seen: dict[Tap, torch.Tensor] = {}

        def keep(module: torch.nn.Module, inputs: Any, output: Any, *, tap: Tap) -> None:
            if tap not in seen:
                # copied at once: a later layer may work in place
                own = own_output(module, inputs, output)
                seen[tap] = _feature(own, tap, self._network, batch)
            if len(seen) == len(self._modules):
                raise _DeepestReached

        with contextlib.ExitStack() as hooks:
            for tap, module in self._modules.items():
                hooks.callback(module.register_forward_hook(partial(keep, tap=tap)).remove)
            with contextlib.suppress(_DeepestReached):
                self._network(batch)
                unused = [tap.layer for tap in self._modules if tap not in seen]
                raise InputError(
                    f"layers {unused}: the backbone's forward pass does not use them; name others"
                )
        return seen


class _DeepestReached(Exception):
    """Every tapped layer has been seen."""


def own_output(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
    """Output of a layer, also of a convolution that a batch norm was folded into."""
    unfolded = getattr(module, "unfolded", None)
    return output if unfolded is None else unfolded(*inputs)


def _feature(output: Any, tap: Tap, network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """A layer's output pooled and copied to the CPU, in the order it has in a feature file."""
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != len(batch):
        raise InputError(
            f"layer {tap.layer}: gives no tensor with one entry per image; name another"
        )
    placed = feature_map(output, network, batch.shape[2:])
    if placed is None:
        if tap.pool > 1:
            raise InputError(
                f"layer {tap.layer}: its output of shape {tuple(output.shape[1:])} has no known "
                f"place in the image, so it cannot be pooled; use pool: 1 or another layer"
            )
        return output.flatten(1).to("cpu", torch.float32, copy=True)
    if tap.pool > 1:
        placed = pooled(placed.float(), tap)
    return placed.to("cpu", torch.float32, memory_format=torch.contiguous_format, copy=True)


def pooled(feature_map: torch.Tensor, tap: Tap) -> torch.Tensor:
    """A feature map, (n, channels, height, width), average-pooled as a tap says.

    Raises
    ------
    InputError
        If it is smaller than the window.
    """
    height, width = feature_map.shape[2:]
    if tap.pool > min(height, width):
        raise InputError(
            f"layer {tap.layer}: pool: {tap.pool} is larger than its feature map of "
            f"{height}×{width}"
        )
    return torch.nn.functional.avg_pool2d(feature_map, tap.pool)


def feature_map(
    output: torch.Tensor, network: torch.nn.Module, shape: Sequence[int]
) -> torch.Tensor | None:
    """Output as (n, channels, height, width) where that is well defined.

    Two axes that are to each other as the image's height and width tell which axis holds the
    channels. A map of one position is a vector: it says nothing about where.

    Parameters
    ----------
    output
        Of a layer.
    network
        That it is of.
    shape
        Height and width of the images that the network was given.
    """
    if output.ndim == 3:
        return _tokens_on_their_grid(output, network)
    if output.ndim != 4:
        return None
    first, last = (_is_grid(output.shape[axes], shape) for axes in (slice(2, 4), slice(1, 3)))
    if first and last and _mixes_layouts(network) and max(output.shape[1:]) > 1:
        return None  # (n, 7, 7, 7) can be either
    if first:
        feature_map = output
    elif last:
        feature_map = output.permute(0, 3, 1, 2)
    else:
        return None
    grid = _token_grid(network)
    if max(feature_map.shape[2:]) == 1 or (grid and tuple(feature_map.shape[2:]) != grid):
        return None  # in a transformer also weights between tokens: (n, heads, tokens, tokens)
    return feature_map


def _is_grid(axes: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether two axes can be height and width of an image in steps of one stride."""
    if shape[0] == shape[1]:
        return axes[0] == axes[1]
    # rounded up or down, so many steps come of strides between two limits
    least = max(side / (steps + 1) for side, steps in zip(shape, axes, strict=True))
    most = min(
        side / (steps - 1) if steps > 1 else inf for side, steps in zip(shape, axes, strict=True)
    )
    return least < most


def _tokens_on_their_grid(output: torch.Tensor, network: torch.nn.Module) -> torch.Tensor | None:
    """Tokens of a timm transformer, (n, tokens, channels), without those that are no patch."""
    grid, prefix = _token_grid(network), getattr(network, "num_prefix_tokens", 0)
    if not grid or output.shape[1] != prefix + grid[0] * grid[1]:
        return None
    return output[:, prefix:].unflatten(1, grid).permute(0, 3, 1, 2)


def _token_grid(network: torch.nn.Module) -> tuple[int, int] | None:
    """Rows and columns of the patches of a timm transformer of one resolution."""
    if not hasattr(network, "num_prefix_tokens"):
        return None
    return tuple(getattr(getattr(network, "patch_embed", None), "grid_size", None) or ()) or None


def _mixes_layouts(network: torch.nn.Module) -> bool:
    """Whether channels may come last: layer norms take them there, convolutional nets have none."""
    return any(isinstance(module, torch.nn.LayerNorm) for module in network.modules())
