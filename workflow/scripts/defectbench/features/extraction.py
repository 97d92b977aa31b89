"""Forward passes of a category's backbones, tapped at every layer that a method asks for."""

import contextlib
import queue
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from defectbench.errors import InputError
from defectbench.features.activations import compute_by_image
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.feature_file import CPU, Tap
from defectbench.features.gpus import claimed_gpu
from defectbench.features.onednn import copy_sharing_weights, use_onednn
from defectbench.features.taps import TappedNetwork

CPU_BATCH = 2  # activations should fit the cache, those of all threads the memory asked for
GPU_BATCH = 32
"""Fixed, not by the memory that is free: results must not depend on what else runs."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@contextlib.contextmanager
def claimed_device(wanted: str) -> Iterator[torch.device]:
    """Device for ``auto``, ``cpu`` or ``cuda``; a GPU is nobody else's until the block ends.

    Raises
    ------
    InputError
        If ``cuda`` is asked for and there is none.
    """
    device = select_device(wanted)
    with contextlib.ExitStack() as claims:
        if device.type == "cuda":
            count = torch.cuda.device_count()
            gpus = [str(torch.cuda.get_device_properties(i).uuid) for i in range(count)]
            device = torch.device("cuda", claims.enter_context(claimed_gpu(gpus)))
        found = "" if device.type == "cuda" else " (no GPU found, or device: cpu)"
        print(f"device: {device_name(device)}{found}", file=sys.stderr)
        yield device


def select_device(wanted: str) -> torch.device:
    """Kind of device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        If ``cuda`` is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError("device: cuda was asked for, and PyTorch finds no GPU; use auto or cpu")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Name of a device for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else CPU


def select_precision(wanted: str, device: torch.device) -> str:
    """Precision for ``fp32``, ``bf16`` or ``auto``: bf16 where it is known to be the faster one."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    # AVX512_BF16 alone does not decide: on an AMD EPYC bf16 was the faster one, on an Intel Xeon
    # without AMX the slower one (28.9 images/s against 34.6 in fp32, ResNet-18)
    fast = capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and _is_made_by_amd())
    return "bf16" if fast else "fp32"


def _is_made_by_amd(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    return cpuinfo.is_file() and "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8")


class Extractor:
    """A backbone that turns images into features.

    Parameters
    ----------
    backbone
        Network and normalisation.
    taps
        Layers to read; all come from one forward pass.
    side
        Of the images.
    stored
        Type of number that features are rounded to: float32 or float16.

    Raises
    ------
    InputError
        If the network does not take images of this size, or a tap cannot be read.
    """

    def __init__(
        self, backbone: Backbone, taps: Sequence[Tap], side: int, stored: type = np.float32
    ) -> None:
        self._backbone, self._taps, self._stored = backbone, taps, stored
        torch.set_num_threads(1)  # the cores are busy decoding: threads within a layer would wait
        try:
            self._network = fold_batch_norm(backbone.network, taps, side)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise InputError(f"the network takes no images of {side}×{side}: {error}") from error

    def to(self, device: torch.device, precision: str, threads: int) -> None:
        """Move to where and how the network runs.

        On a CPU every thread takes batches of its own through a copy of the network that shares
        its weights. Threads within a layer would wait for each other at the end of each one,
        for long where another process holds a core.

        Parameters
        ----------
        device
            CPU or GPU.
        precision
            ``fp32``, or ``bf16`` for the network's weights and activations. Features are float32.
        threads
            Of a CPU.
        """
        exact = precision == "fp32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
        torch.backends.cudnn.deterministic = True  # the same bytes when run twice
        self._device, self._precision = device, precision
        self._batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH
        network = self._network.to(device, DTYPES[precision], memory_format=torch.channels_last)
        if device.type == "cpu":
            compute_by_image(network)
        if device.type == "cpu" and exact and torch.backends.mkldnn.is_available():
            use_onednn(network)
        others = range(1, threads if device.type == "cpu" else 1)
        self._free: queue.SimpleQueue[TappedNetwork] = queue.SimpleQueue()
        for each in (network, *(copy_sharing_weights(network) for _ in others)):
            self._free.put(TappedNetwork(each, self._taps))
        self._threads = ThreadPoolExecutor(
            self._free.qsize(), initializer=torch.set_num_threads, initargs=(1,)
        )
        self._mean, self._std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (self._backbone.mean, self._backbone.std)
        )

    def __call__(self, images: np.ndarray, files: Sequence[Path]) -> dict[str, np.ndarray]:
        """Features of images, which are the same in whatever company they come.

        Parameters
        ----------
        images
            uint8, (n, side, side, 3), RGB.
        files
            Of each image, for errors.

        Returns
        -------
        dict of ndarray
            By the tap's name, float32, rounded to what is stored: (n, channels, height, width) of
            feature maps, (n, dimensions) of vectors.

        Raises
        ------
        InputError
            If a feature is not finite or too large for what is stored, or the GPU's memory does
            not hold a single image.
        """
        features = self._run_all(torch.from_numpy(images))
        for tap, values in features.items():
            for file, image in zip(files, values, strict=True):
                self._round(image, tap, file)
        return {tap.name: values for tap, values in features.items()}

    def _run_all(self, pixels: torch.Tensor) -> dict[Tap, np.ndarray]:
        """Features of all batches, in order; batches shrink until the GPU's memory holds one."""
        with contextlib.suppress(torch.cuda.OutOfMemoryError):
            features: dict[Tap, np.ndarray] = {}
            done = 0
            for part in self._threads.map(self._run, pixels.split(self._batch)):
                for tap, values in part.items():
                    if not done:
                        features[tap] = np.empty((len(pixels), *values.shape[1:]), np.float32)
                    features[tap][done : done + len(values)] = values
                done += len(values)
            return features
        if self._batch == 1:
            raise InputError("the GPU's memory does not hold one image; use device: cpu")
        self._batch //= 2
        # only now: the error kept what had been computed from being freed
        torch.cuda.empty_cache()
        print(f"out of GPU memory: batches of {self._batch} from here on", file=sys.stderr)
        return self._run_all(pixels)

    def _run(self, pixels: torch.Tensor) -> dict[Tap, torch.Tensor]:
        """Features of one batch.

        A batch that is not full is filled up: kernels are chosen by a batch's size, and round in
        ways of their own.
        """
        surplus = pixels[-1:].expand(self._batch - len(pixels), -1, -1, -1)
        full = torch.cat([pixels, surplus])
        network = self._free.get()
        try:
            with torch.inference_mode():
                scaled = full.to(self._device).permute(0, 3, 1, 2).float().div(255)
                found = network(scaled.sub(self._mean).div(self._std).to(DTYPES[self._precision]))
        finally:
            self._free.put(network)
        return {tap: values[: len(pixels)] for tap, values in found.items()}

    def _round(self, features: np.ndarray, tap: Tap, file: Path) -> None:
        """Round an image's features in place; refuse what no detector can use."""
        if not np.isfinite(features).all():
            advice = "try fp32" if self._precision != "fp32" else "are the weights whole?"
            raise InputError(
                f"{file}: its features of {tap.name} are NaN or infinite in {self._precision}; "
                f"{advice}"
            )
        if features.dtype == self._stored:
            return
        with np.errstate(over="ignore"):
            features[...] = features.astype(self._stored)
        if not np.isfinite(features).all():
            raise InputError(
                f"{file}: its features of {tap.name} exceed {np.finfo(self._stored).max:.0f}, the "
                "largest number that storage: fp16 holds; use fp32"
            )
