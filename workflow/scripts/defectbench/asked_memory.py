"""Memory that jobs ask for, from the index, the features' shapes and the settings, in bytes.

It is what a job takes beside the interpreter and the libraries of its kind (`NUMPY`, `PYTORCH`, …).
Snakemake asks when a job is about to start: whatever is read here is small, and PyTorch is not
imported.
"""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import h5py

from defectbench.evaluation.pixel_ranks import measured_pixels, pixel_bytes
from defectbench.images.canvas import canvas, with_canvas
from defectbench.images.index import IndexRow, read_index
from defectbench.memory import BLOCK_BYTES
from defectbench.provenance import FACTS
from defectbench.scorers.base import Scorer, map_pixels, maps_at_once
from defectbench.scorers.largest_tile import LargestTile
from defectbench.storage import read_json

NUMPY = 200_000_000
"""Interpreter, NumPy, SciPy, HDF5 and decoders: 50 to 140 MB where there is little data."""

PYTORCH = 1_000_000_000
"""The same with PyTorch and its models' packages, for a network of a few megabytes."""

CUDA = 4_000_000_000
"""The same with CUDA's libraries; not measured."""

EXPORT = 1_500_000_000
"""The same as `PYTORCH` with ONNX and what PyTorch's exporter keeps."""

PLOTS = 300_000_000
"""The same as `NUMPY` with what draws, and templates."""

RESAMPLED = 250_000_000
"""What `bootstrap` holds of resampled test sets, however many images there are."""

DRAWN_BYTES = 60
"""Per pixel of an image that is drawn beside its map and its overlay."""

READ_BYTES = 10
"""Per byte of the files of scores that a report holds."""

COPIES_OF_A_GRAPH = 8
"""Of weights and model, while PyTorch exports them and the file is proved."""

COPIES_OF_A_DETECTOR = 4
"""Of its file, while ONNX Runtime loads it."""

ROW_BYTES = 2000
"""Of an image in memory: its row of the index, its names and its scores."""

DECODED_BYTES = 12
"""Per pixel: the file, the decoded image, a turned or converted copy, a half-resized one."""

BATCH = 2
"""Images that a thread of a CPU takes through a network at once; `forward.CPU_BATCH`."""

VALUES_OF_A_TAP = 16.0
VALUES_OF_A_NETWORK = 36.0
"""Per pixel of the image, of the largest layers of a backbone that is not the project's own."""

Shapes = list[tuple[int, ...]]


def read_rows(path: str | Path) -> list[IndexRow]:
    """Rows of an index, which many jobs ask for."""
    found = Path(path).stat()
    return _read_rows(str(path), found.st_mtime_ns, found.st_size)


@lru_cache(64)
def _read_rows(path: str, time: int, size: int) -> list[IndexRow]:
    return read_index(path)


def image_shapes(path: str | Path, group: str, names: Sequence[str]) -> Shapes | None:
    """Shape of one image's features in each layer, from the head of a feature file.

    Returns
    -------
    list of tuple of int, or None
        None where the file lacks a layer or is damaged: it is to be made again, or the job will
        say what is wrong.

    Raises
    ------
    FileNotFoundError
        If there is no such file yet.
    """
    Path(path).stat()
    try:
        with h5py.File(path, "r", locking=False) as file:
            return [file[group][name].shape[1:] for name in names]
    except (OSError, KeyError, AttributeError):
        return None


def features_bytes(shapes: Shapes) -> int:
    """Features of one image, which scorers read as float32 whatever is stored."""
    return 4 * sum(map(prod, shapes))


def scoring_bytes(scorer: Scorer, shapes: Shapes | None, fitted: int, judged: int) -> int:
    """Memory for a detector that is fitted, held out and shown further images.

    Parameters
    ----------
    scorer
        With its parameters.
    shapes
        From `image_shapes`.
    fitted, judged
        Numbers of images.
    """
    rows = ROW_BYTES * (fitted + judged)
    if not shapes:
        return rows
    if len(shapes[0]) == 2:
        scorer = LargestTile(scorer)
    fit = scorer.fit_bytes([(fitted, *shape) for shape in shapes])
    reading = 2 * min(BLOCK_BYTES, features_bytes(shapes) * judged)
    return rows + fit + reading + map_bytes(scorer, shapes, max(fitted, judged))


def map_bytes(scorer: Scorer, shapes: Shapes, images: int) -> int:
    """Memory for the maps of a block of images, and for their way to the disk."""
    if not scorer.localizes or any(len(shape) != 3 for shape in shapes):
        return 0
    pixels, at_once = map_pixels(scorer, shapes), maps_at_once(scorer, shapes)
    block = min(images, at_once, max(1, BLOCK_BYTES // features_bytes(shapes)))
    return 2 * 4 * pixels * max(block, min(images, at_once // 4))


def judging_bytes(files: Iterable[str | Path]) -> int:
    """Memory for features of other categories that a detector is shown, all files open at once."""
    return sum(2 * min(BLOCK_BYTES, 2 * Path(file).stat().st_size) for file in files)


def given_bytes(path: str | Path) -> int:
    """Memory to take over a file of features: some blocks of it, and all of it if it is an npz."""
    size = Path(path).stat().st_size
    if Path(path).suffix != ".npz":
        return 4 * min(BLOCK_BYTES, 8 * size)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0  # the job will say so
    return 2 * unpacked + 4 * min(BLOCK_BYTES, unpacked)


def extraction_bytes(
    rows: Sequence[IndexRow],
    passes: Sequence[Mapping[str, Any]],
    weights: Mapping[str, str | Path],
    threads: int,
    perturbations: int = 0,
) -> int:
    """Memory for decoding and for the networks' passes.

    Parameters
    ----------
    rows
        Of the category's index.
    passes
        As rule `features` hands them to its script.
    weights
        File of each backbone's weights.
    threads
        That decode, and that run a network each.
    perturbations
        In which every image is held; 0 where only the images themselves are.
    """
    # import the decoders, which a plan can do without
    from defectbench.features.decoded import images_ahead, images_at_once, resized_bytes
    from defectbench.studies.perturbed_features import perturbed_at_once

    sizes = [(row.height, row.width) for row in rows]
    passes = [entry | {"settings": with_canvas(entry["settings"], sizes)} for entry in passes]
    image_bytes = resized_bytes({entry["preprocessing"]: entry["settings"] for entry in passes})
    if perturbations:
        at_once = perturbed_at_once(image_bytes, perturbations)
        waiting = at_once * perturbations
    else:
        at_once = images_at_once(image_bytes)
        waiting = at_once + min(len(rows), images_ahead(image_bytes, threads))
    networks = sum(4 * Path(weights[entry["backbone"]]).stat().st_size for entry in passes)
    activations = max(BATCH * 4 * 3 * _largest(entry) * _network_pixels(entry) for entry in passes)
    features = sum(map(tapped_bytes, passes)) * min(at_once, len(rows))
    of_a_thread = DECODED_BYTES * largest_pixels(rows) + activations
    kept = max(1, perturbations) * features
    return round(waiting * image_bytes + networks + threads * of_a_thread + 2 * features + kept)


def largest_pixels(rows: Iterable[IndexRow]) -> int:
    """Pixels of the largest image."""
    return max((row.width * row.height for row in rows), default=0)


def _network_pixels(entry: Mapping[str, Any]) -> int:
    """Of what goes through the network at once: a tile, or all of the canvas."""
    tiles = entry["settings"].get("tiles")
    return tiles["size"] ** 2 if tiles else prod(canvas(entry["settings"]))


@lru_cache(1)
def layer_values() -> dict[str, dict[str, float]]:
    """By backbone and layer: values of its output per pixel of the image."""
    return read_json(FACTS / "backbone_layers.json")


def _largest(entry: Mapping[str, Any]) -> float:
    known = layer_values().get(entry["backbone"])
    return max(known.values()) if known else VALUES_OF_A_NETWORK


def tapped_bytes(entry: Mapping[str, Any]) -> float:
    """Features of one image from all taps of a pass."""
    known = layer_values().get(entry["backbone"], {})
    values = sum(
        known.get(layer, VALUES_OF_A_TAP) / max(1, pool) ** 2 for layer, pool in entry["taps"]
    )
    return 4 * values * prod(canvas(entry["settings"]))


def largest_image_pixels(folder: str | Path, files: int = 8) -> int:
    """Pixels of the largest image of a category without an index, by the heads of some files.

    Parameters
    ----------
    folder
        Of the category.
    files
        How many are looked into: those of the most bytes.
    """
    from PIL import Image

    found = [path for path in Path(folder).glob("*/*/*") if path.is_file()]
    largest = sorted(found, key=lambda path: path.stat().st_size)[-files:]
    return max((_size(Image, path) for path in largest), default=0)


def _size(pillow: Any, path: Path) -> int:
    try:
        with pillow.open(path) as image:
            return prod(image.size)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError):
        return 0  # the job will say so


def pixel_metrics_bytes(rows: Sequence[IndexRow], resolution: int | str) -> int:
    """Memory for pixel metrics at the sizes that the index lists.

    How many pixels are defective is known when the masks are read: a twentieth of those of the
    images that have one is taken for it.
    """
    test = [row for row in rows if row.split == "test"]
    masked = measured_pixels([row for row in test if row.mask], resolution)
    return pixel_bytes(measured_pixels(test, resolution), sum(masked) // 20)


def files_bytes(files: Iterable[str | Path]) -> int:
    """Bytes of files together."""
    return sum(Path(file).stat().st_size for file in files)
