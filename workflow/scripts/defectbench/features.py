"""One forward pass over a category's images, tapped at every layer that a method asks for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import h5py
import torch

from defectbench.backbones import Backbone
from defectbench.errors import InputError
from defectbench.progress import Progress
from defectbench.storage import create_array

BATCH = {"cpu": 16, "cuda": 128}


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
            float32, (n, 3, side, side).

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
            if tap.pool > 1:
                output = torch.nn.functional.avg_pool2d(output, tap.pool)
            # copied at once: a later layer may work in place
            self._seen[tap] = output.flatten(1).to("cpu", torch.float32, copy=True)
            if len(self._seen) == len(self._taps):
                raise _DeepestReached

        return keep


class _DeepestReached(Exception):
    """Every tapped layer has been seen."""


def select_device(wanted: str) -> torch.device:
    """Device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        If ``cuda`` is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError("device: cuda was asked for, and PyTorch finds no GPU; use auto or cpu")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def extract_features(
    images: h5py.Dataset,
    backbone: Backbone,
    taps: Sequence[Tap],
    device: torch.device,
    output: h5py.File,
) -> None:
    """Write the features of all images into an open file, one array per tap, batch by batch.

    Parameters
    ----------
    images
        uint8, (N, side, side, 3), RGB.
    backbone
        Network and normalisation.
    taps
        Layers to read; all come from one forward pass.
    device
        Where the network runs.
    output
        Receives float32 arrays (N, dimensions) under the taps' names. Progress goes to standard
        error.
    """
    network = backbone.network.to(device, memory_format=torch.channels_last)
    forward = TappedNetwork(network, taps)
    mean = torch.tensor(backbone.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(backbone.std, device=device).view(1, 3, 1, 1)
    batch = BATCH[device.type]
    progress = Progress(len(images))
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = torch.from_numpy(images[start : start + batch]).to(device).permute(0, 3, 1, 2)
            features = forward(pixels.float().div(255).sub(mean).div(std))
            for tap, values in features.items():
                if tap.name not in output:
                    create_array(output, tap.name, (len(images), values.shape[1]), "float32")
                output[tap.name][start : start + batch] = values.numpy()
            progress.advance(len(pixels))
