"""Forward passes of a network over many images, batch by batch, on a GPU or on all cores."""

import contextlib
import queue
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from defectbench.errors import InputError
from defectbench.features.activations import compute_by_image
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.feature_file import Tap
from defectbench.features.onednn import copy_sharing_weights, use_onednn
from defectbench.features.taps import TappedNetwork
from defectbench.images.canvas import Shape

CPU_BATCH = 2  # activations should fit the cache, those of all threads the memory asked for
GPU_BATCH = 32
"""Fixed, not by the memory that is free: results must not depend on what else runs."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class ForwardPasses:
    """A backbone that runs over images of one shape, or of several.

    Parameters
    ----------
    backbone
        Network and normalisation.
    taps
        Layers to read; all come from one forward pass.
    shape
        Height and width of most images.

    Attributes
    ----------
    precision
        In which it computes.

    Raises
    ------
    InputError
        If the network does not take images of this size, or a tap cannot be read.
    """

    def __init__(self, backbone: Backbone, taps: Sequence[Tap], shape: Shape) -> None:
        self._backbone, self.precision = backbone, "fp32"
        torch.set_num_threads(1)  # the cores are busy decoding: threads within a layer would wait
        try:
            self._network = fold_batch_norm(backbone.network, taps, shape)
        except (RuntimeError, AssertionError, ValueError) as error:
            height, width = shape
            raise InputError(
                f"the network takes no images of {width}×{height} ({error}); choose another size"
            ) from error

    def to(
        self, device: torch.device, precision: str, threads: int, batch: int | None = None
    ) -> None:
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
        batch
            Images at once; as many as are fast together where it is None.
        """
        exact = precision == "fp32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
        torch.backends.cudnn.deterministic = True  # the same bytes when run twice
        self._device, self.precision = device, precision
        self._batch = batch or (CPU_BATCH if device.type == "cpu" else GPU_BATCH)
        network = self._network.to(device, DTYPES[precision], memory_format=torch.channels_last)
        if device.type == "cpu":
            compute_by_image(network)
        if device.type == "cpu" and exact and torch.backends.mkldnn.is_available():
            use_onednn(network)
        others = range(1, threads if device.type == "cpu" else 1)
        self._free: queue.SimpleQueue[torch.nn.Module] = queue.SimpleQueue()
        for each in (network, *(copy_sharing_weights(network) for _ in others)):
            self._free.put(each)
        self._threads = ThreadPoolExecutor(
            self._free.qsize(), initializer=torch.set_num_threads, initargs=(1,)
        )
        self._mean, self._std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (self._backbone.mean, self._backbone.std)
        )

    def __call__(self, pixels: np.ndarray, taps: Sequence[Tap]) -> dict[Tap, np.ndarray]:
        """What the taps give of images, the same whatever images come with them.

        Batches shrink until the GPU's memory holds one.

        Parameters
        ----------
        pixels
            uint8, (n, height, width, 3), RGB.
        taps
            Of the layers that were named, pooled as they say.

        Returns
        -------
        dict of ndarray
            float32: (n, channels, height, width) of feature maps, (n, dimensions) of vectors.

        Raises
        ------
        InputError
            If the GPU's memory does not hold a single image.
        """
        batches = torch.from_numpy(pixels).split(self._batch)
        with contextlib.suppress(torch.cuda.OutOfMemoryError):
            features: dict[Tap, np.ndarray] = {}
            done = 0
            for part in self._threads.map(partial(self._run, taps=taps), batches):
                for tap, values in part.items():
                    if not done:
                        features[tap] = np.empty((len(pixels), *values.shape[1:]), np.float32)
                    features[tap][done : done + len(values)] = values
                done += len(values)
            return features
        if self._batch == 1:
            raise InputError(
                "the GPU's memory does not hold one image; use device: cpu, or a preprocessing "
                "with tiles"
            )
        self._batch //= 2
        # only now: the error kept what had been computed from being freed
        torch.cuda.empty_cache()
        print(f"out of GPU memory: batches of {self._batch} from here on", file=sys.stderr)
        return self(pixels, taps)

    def _run(self, pixels: torch.Tensor, taps: Sequence[Tap]) -> dict[Tap, torch.Tensor]:
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
                normalised = scaled.sub(self._mean).div(self._std).to(DTYPES[self.precision])
                found = TappedNetwork(network, taps)(normalised)
        finally:
            self._free.put(network)
        return {tap: values[: len(pixels)] for tap, values in found.items()}
