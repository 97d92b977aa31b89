"""Outputs of a network's inner layers, all from one forward pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from defectbench.errors import InputError


class Tap(NamedTuple):
    """A layer's output, average-pooled with window and stride `pool`, then flattened."""

    layer: str
    pool: int

    @property
    def name(self) -> str:
        """Name of its array in a feature file."""
        return f"{self.layer}/pool{self.pool}"


class TappedNetwork:
    """A network that runs no further than its deepest tapped layer.

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
        self._network = network
        self._taps = set(taps)
        self._seen: dict[Tap, torch.Tensor] = {}
        modules = dict(network.named_modules())
        for tap in self._taps:
            if tap.layer not in modules:
                layers = ", ".join(name for name in modules if name.count(".") < 2 and name)
                raise InputError(
                    f"layer {tap.layer}: the backbone has no such layer; it has {layers}"
                )
            modules[tap.layer].register_forward_hook(self._hook(tap))

    def __call__(self, batch: torch.Tensor) -> dict[Tap, torch.Tensor]:
        """Features of normalised images.

        Parameters
        ----------
        batch
            In the network's precision, (n, 3, side, side).

        Returns
        -------
        dict of Tap to Tensor
            float32 on the CPU, (n, dimensions).
        """
        self._seen = {}
        try:
            self._network(batch)
        except _DeepestReached:
            return self._seen
        unused = [tap.layer for tap in self._taps if tap not in self._seen]
        raise InputError(f"layers {unused}: the backbone's forward pass does not use them")

    def _hook(self, tap: Tap) -> Any:
        def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
            output = output.float()
            if tap.pool > 1:
                output = torch.nn.functional.avg_pool2d(output, tap.pool)
            # copied at once: a later layer may work in place
            self._seen[tap] = output.flatten(1).to("cpu", torch.float32, copy=True)
            if len(self._seen) == len(self._taps):
                raise _DeepestReached

        return keep


class _DeepestReached(Exception):
    """Every tapped layer has been seen."""
