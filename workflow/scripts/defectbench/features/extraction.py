"""Forward passes of a category's backbones, tapped at every layer that a method asks for."""

import contextlib
import queue
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from defectbench.errors import InputError
from defectbench.features.activations import compute_by_image
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.feature_file import Tap
from defectbench.features.onednn import copy_sharing_weights, use_onednn
from defectbench.features.taps import TappedNetwork, pooled
from defectbench.features.tile_maps import joined, laid_out
from defectbench.images.canvas import Preprocessing, Shape, canvas, place
from defectbench.images.tiles import Tiling

CPU_BATCH = 2  # activations should fit the cache, those of all threads the memory asked for
GPU_BATCH = 32
"""Fixed, not by the memory that is free: results must not depend on what else runs."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Extractor:
    """A backbone that turns images into features.

    Parameters
    ----------
    backbone
        Network and normalisation.
    taps
        Layers to read; all come from one forward pass.
    preprocessing
        Of the images, from `images.canvas.with_canvas`.
    stored
        Type of number that features are rounded to: float32 or float16.

    Raises
    ------
    InputError
        If the network does not take images of this size, or a tap cannot be read.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[Tap],
        preprocessing: Preprocessing,
        stored: type = np.float32,
    ) -> None:
        self._backbone, self._taps, self._stored = backbone, taps, stored
        self._preprocessing, self._canvas = preprocessing, canvas(preprocessing)
        self._tiling = Tiling.of(preprocessing)
        self._grids: dict[str, Shape] = {}
        torch.set_num_threads(1)  # the cores are busy decoding: threads within a layer would wait
        shape = self._canvas if self._tiling is None else (self._tiling.size,) * 2
        try:
            self._network = fold_batch_norm(backbone.network, taps, shape)
        except (RuntimeError, AssertionError, ValueError) as error:
            height, width = shape
            raise InputError(f"the network takes no images of {width}×{height}: {error}") from error

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

    def __call__(
        self, images: Sequence[np.ndarray], files: Sequence[Path]
    ) -> dict[str, np.ndarray]:
        """Features of images, which are the same in whatever company they come.

        Parameters
        ----------
        images
            Each uint8, (height, width, 3), RGB: what it covers of the canvas.
        files
            Of each image, for errors.

        Returns
        -------
        dict of ndarray
            By the tap's name, float32, rounded to what is stored: (n, channels, height, width) of
            feature maps, (n, dimensions) of vectors, and (n, tiles, dimensions) of those of tiles.

        Raises
        ------
        InputError
            If a feature is not finite or too large for what is stored, or the GPU's memory does
            not hold a single image.
        """
        whole = [image.shape[:2] == self._canvas and self._tiling is None for image in images]
        features: dict[Tap, np.ndarray] = {}
        for rows in [np.flatnonzero(whole), *np.flatnonzero(~np.array(whole))[:, None]]:
            if not len(rows):
                continue
            if whole[rows[0]]:
                found = self._run_all(np.stack([images[row] for row in rows]), self._taps)
            else:
                found = self._by_parts(images[rows[0]])
            for tap, values in found.items():
                shape = (len(images), *values.shape[1:])
                features.setdefault(tap, np.empty(shape, np.float32))[rows] = values
        for tap, values in features.items():
            for file, image in zip(files, values, strict=True):
                self._round(image, tap, file)
        return {tap.name: values for tap, values in features.items()}

    def _by_parts(self, image: np.ndarray) -> dict[Tap, np.ndarray]:
        """Features of an image that is cut into tiles, or covers a part of the canvas."""
        covered, tiling = image.shape[:2], self._tiling
        if tiling is not None:
            tiling = Tiling.of(self._preprocessing, covered)
        tiles = image[None] if tiling is None else tiling.cut(image)
        unpooled = list(dict.fromkeys(tap._replace(pool=1) for tap in self._taps))
        found = self._run_all(tiles, unpooled)
        features = {}
        for tap in self._taps:
            values = torch.from_numpy(found[tap._replace(pool=1)])
            if values.ndim == 4:
                features[tap] = self._whole_map(values, tap, tiling, covered)
            elif self._tiling is None:
                features[tap] = values.numpy()
            else:  # a smaller part has fewer tiles: the last one is repeated
                numbers = np.arange(len(self._tiling)).clip(max=len(values) - 1)
                features[tap] = values.numpy()[None, numbers]
        return features

    def _whole_map(
        self, tiles: torch.Tensor, tap: Tap, tiling: Tiling | None, covered: Shape
    ) -> np.ndarray:
        """Feature map of a canvas, from that of a part of it or from those of the part's tiles."""
        found = tiles if tiling is None else joined(tiles.split(1), tiling, tap.layer)
        if covered != self._canvas:
            lies = place(self._preprocessing, covered)
            found = laid_out(found, lies, self._canvas, self._grid_of(tap))
        return (pooled(found, tap) if tap.pool > 1 else found).numpy()

    def _grid_of(self, tap: Tap) -> Shape:
        """Height and width of a layer's map of a whole canvas, before it is pooled."""
        if tap.layer not in self._grids:
            empty = np.zeros((*self._canvas, 3), np.uint8)
            tiles = empty[None] if self._tiling is None else self._tiling.cut(empty)
            alone = tap._replace(pool=1)
            values = torch.from_numpy(self._run_all(tiles, [alone])[alone])
            whole = self._whole_map(values, alone, self._tiling, self._canvas)
            self._grids[tap.layer] = whole.shape[2:]
        return self._grids[tap.layer]

    def _run_all(self, pixels: np.ndarray, taps: Sequence[Tap]) -> dict[Tap, np.ndarray]:
        """Features of all batches, in order; batches shrink until the GPU's memory holds one."""
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
        return self._run_all(pixels, taps)

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
                normalised = scaled.sub(self._mean).div(self._std).to(DTYPES[self._precision])
                found = TappedNetwork(network, taps)(normalised)
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
