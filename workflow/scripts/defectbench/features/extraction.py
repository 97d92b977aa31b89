"""Features of images: of whole canvases, of their tiles, of parts of a canvas."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from defectbench.errors import InputError
from defectbench.features.backbones import Backbone
from defectbench.features.feature_file import Tap
from defectbench.features.forward import ForwardPasses
from defectbench.features.taps import pooled
from defectbench.features.tile_maps import joined, laid_out
from defectbench.images.canvas import Preprocessing, Shape, canvas, place
from defectbench.images.tiles import Tiling


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
        self._taps, self._stored, self._preprocessing = taps, stored, preprocessing
        self._canvas, self._tiling = canvas(preprocessing), Tiling.of(preprocessing)
        self._grids: dict[str, Shape] = {}
        shape = self._canvas if self._tiling is None else (self._tiling.size,) * 2
        self._run = ForwardPasses(backbone, taps, shape)

    def to(
        self, device: torch.device, precision: str, threads: int, batch: int | None = None
    ) -> None:
        """Move to where and how the network runs; see `ForwardPasses.to`."""
        self._run.to(device, precision, threads, batch)

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
                found = self._run(np.stack([images[row] for row in rows]), self._taps)
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
        found = self._run(tiles, unpooled)
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
            values = torch.from_numpy(self._run(tiles, [alone])[alone])
            whole = self._whole_map(values, alone, self._tiling, self._canvas)
            self._grids[tap.layer] = whole.shape[2:]
        return self._grids[tap.layer]

    def _round(self, features: np.ndarray, tap: Tap, file: Path) -> None:
        """Round an image's features in place; refuse what no detector can use."""
        if not np.isfinite(features).all():
            advice = "try fp32" if self._run.precision != "fp32" else "are the weights whole?"
            raise InputError(
                f"{file}: its features of {tap.name} are NaN or infinite in {self._run.precision}; "
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
