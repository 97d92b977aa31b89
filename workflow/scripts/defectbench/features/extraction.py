"""One forward pass over a category's images, tapped at every layer that a method asks for."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import h5py
import torch

from defectbench.errors import InputError
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.taps import Tap, TappedNetwork
from defectbench.progress import Progress
from defectbench.storage import create_array

CPU_BATCH = 4
MAX_GPU_BATCH = 256
GPU_BYTES_PER_PIXEL = 4096  # generous: activations of the widest layers, several at a time


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


def select_precision(wanted: str, device: torch.device) -> str:
    """Precision for ``fp32``, ``bf16`` or ``auto``: bf16 where the hardware computes it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("amx_bf16") or capabilities.get("avx512_bf16")
    return "bf16" if fast else "fp32"


def extract_features(
    images: h5py.Dataset,
    backbone: Backbone,
    taps: Sequence[Tap],
    device: torch.device,
    precision: str,
    output: h5py.File,
    progress: Progress,
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
    precision
        ``fp32``, or ``bf16`` for the network's weights and activations. Features are float32.
    output
        Receives float32 arrays under the taps' names: (N, channels, height, width) of feature
        maps, (N, dimensions) of vectors.
    progress
        Is told of every batch.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    network = fold_batch_norm(backbone.network, taps, images.shape[1])
    network = network.to(device, dtype, memory_format=torch.channels_last)
    forward = TappedNetwork(network, taps)
    mean = torch.tensor(backbone.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(backbone.std, device=device).view(1, 3, 1, 1)
    with torch.inference_mode():
        for rows, pixels in _batches(images, batch_size(device, images.shape[1]), device):
            normalised = pixels.permute(0, 3, 1, 2).float().div(255).sub(mean).div(std)
            for tap, values in forward(normalised.to(dtype)).items():
                if tap.name not in output:
                    create_array(output, tap.name, (len(images), *values.shape[1:]), "float32")
                _check_finite(values, tap, rows.start, precision)
                output[tap.name][rows] = values.numpy()
            progress.advance(len(pixels))


def _check_finite(values: torch.Tensor, tap: Tap, first: int, precision: str) -> None:
    finite = values.flatten(1).isfinite().all(dim=1)
    if not finite.all():
        row = first + int(finite.int().argmin())
        advice = "try fp32" if precision != "fp32" else "are the weights whole?"
        raise InputError(
            f"features of {tap.name} are NaN or infinite for image {row} of index.tsv (counted "
            f"from 0), in {precision}; {advice}"
        )


def batch_size(device: torch.device, side: int) -> int:
    """Images per forward pass: few on a CPU, where activations should fit its cache."""
    if device.type == "cpu":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MAX_GPU_BATCH, free // (GPU_BYTES_PER_PIXEL * side * side)))


def _batches(
    images: h5py.Dataset, size: int, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Batches on the device; while one is computed on, the next is read from disk."""

    def read(start: int) -> torch.Tensor:
        pixels = torch.from_numpy(images[start : start + size])
        return pixels.pin_memory() if device.type == "cuda" else pixels

    starts = range(0, len(images), size)
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(read, 0)
        for start in starts:
            pixels = waiting.result()
            if start + size < len(images):
                waiting = reader.submit(read, start + size)
            yield slice(start, start + size), pixels.to(device, non_blocking=True)
