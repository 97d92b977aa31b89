"""Outputs of a network's inner layers, all from one forward pass."""

import contextlib
from collections.abc import Sequence
from functools import partial
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
            In the network's precision, (n, 3, side, side).

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
                seen[tap] = _feature(own, tap, self._network, len(batch))
            if len(seen) == len(self._modules):
                raise _DeepestReached

        with contextlib.ExitStack() as hooks:
            for tap, module in self._modules.items():
                hooks.callback(module.register_forward_hook(partial(keep, tap=tap)).remove)
            with contextlib.suppress(_DeepestReached):
                self._network(batch)
                unused = [tap.layer for tap in self._modules if tap not in seen]
                raise InputError(f"layers {unused}: the backbone's forward pass does not use them")
        return seen


class _DeepestReached(Exception):
    """Every tapped layer has been seen."""


def own_output(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
    """Output of a layer, also of a convolution that a batch norm was folded into."""
    unfolded = getattr(module, "unfolded", None)
    return output if unfolded is None else unfolded(*inputs)


def _feature(output: Any, tap: Tap, network: torch.nn.Module, n_images: int) -> torch.Tensor:
    """A layer's output pooled and copied to the CPU, in the order it has in a feature file."""
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != n_images:
        raise InputError(f"layer {tap.layer}: gives no tensor with one entry per image")
    placed = feature_map(output, network)
    if placed is None:
        if tap.pool > 1:
            raise InputError(
                f"layer {tap.layer}: its output of shape {tuple(output.shape[1:])} has no known "
                f"place in the image, so it cannot be pooled; use pool: 1 or another layer"
            )
        return output.flatten(1).to("cpu", torch.float32, copy=True)
    if tap.pool > min(placed.shape[2:]):
        raise InputError(
            f"layer {tap.layer}: pool: {tap.pool} is larger than its feature map of "
            f"{placed.shape[2]}×{placed.shape[3]}"
        )
    if tap.pool > 1:
        placed = torch.nn.functional.avg_pool2d(placed.float(), tap.pool)
    return placed.to("cpu", torch.float32, memory_format=torch.contiguous_format, copy=True)


def feature_map(output: torch.Tensor, network: torch.nn.Module) -> torch.Tensor | None:
    """Output as (n, channels, height, width) where that is well defined.

    Images are square, hence so are feature maps, and the equal axes tell which axis holds the
    channels. A map of one position is a vector: it says nothing about where.
    """
    if output.ndim == 3:
        return _tokens_on_their_grid(output, network)
    if output.ndim != 4 or (_is_cubic(output) and _mixes_layouts(network)):
        return None
    if output.shape[2] == output.shape[3]:
        feature_map = output
    elif output.shape[1] == output.shape[2]:
        feature_map = output.permute(0, 3, 1, 2)
    else:
        return None
    grid = _token_grid(network)
    if feature_map.shape[2] == 1 or (grid and tuple(feature_map.shape[2:]) != grid):
        return None  # in a transformer also weights between tokens: (n, heads, tokens, tokens)
    return feature_map


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


def _is_cubic(output: torch.Tensor) -> bool:
    return output.shape[1] == output.shape[2] == output.shape[3] > 1


def _mixes_layouts(network: torch.nn.Module) -> bool:
    """Whether channels may come last: layer norms take them there, convolutional nets have none."""
    return any(isinstance(module, torch.nn.LayerNorm) for module in network.modules())
