"""What a line does to its pictures: lamp, lens, sensor, compression, mounting; their features."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from defectbench.features.allocator import keep_freed_memory
from defectbench.features.category import Features
from defectbench.features.decoded import resized_bytes
from defectbench.features.devices import Machine, prepared_extractors
from defectbench.features.feature_file import Pass
from defectbench.images.decoding import load_image
from defectbench.images.resizing import preprocess
from defectbench.progress import Progress

Perturb = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def perturb(
    image: Image.Image, perturbation: str, severity: float, seed: int, sha256: str
) -> Image.Image:
    """An image as a changed line would have taken it; at severity 0 the image itself, bit for bit.

    Parameters
    ----------
    image
        8-bit RGB or grey, at its original size.
    perturbation
        A key of `PERTURBATIONS`.
    severity
        In its unit; 0 for no change.
    seed, sha256
        The seed of the run and the file's hash, from which the image's own seed is made: its noise
        does not depend on its position in the dataset.

    Returns
    -------
    Image
        Of the same mode and size.
    """
    if severity == 0:
        return image
    rng = np.random.default_rng([seed, int(sha256[:16], 16)])
    change, _ = PERTURBATIONS[perturbation]
    return change(image, severity, rng)


def unit(perturbation: str) -> str:
    """Unit of a perturbation's severities, and what it means."""
    return PERTURBATIONS[perturbation][1]


def _from_float(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))


def _brightness(image: Image.Image, percent: float, _: np.random.Generator) -> Image.Image:
    return _from_float(np.asarray(image, np.float32) * np.float32(1 + percent / 100))


def _contrast(image: Image.Image, percent: float, _: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    # summed in double precision: a single-precision sum of millions of pixels loses digits
    mean = pixels.mean(axis=(0, 1), dtype=float).astype(np.float32)
    return _from_float(mean + (pixels - mean) * np.float32(1 + percent / 100))


def _blur(image: Image.Image, sigma: float, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(sigma))


def _noise(image: Image.Image, deviation: float, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    return _from_float(pixels + deviation * rng.standard_normal(pixels.shape, np.float32))


def _jpeg(image: Image.Image, quality: float, _: np.random.Generator) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=round(quality))
    with Image.open(stream) as compressed:
        return compressed.convert(image.mode)


def _rotation(image: Image.Image, degrees: float, _: np.random.Generator) -> Image.Image:
    width, height = image.size
    # more than half a diagonal, which is as far as anything can turn into view
    margin = max(width, height)
    padded = Image.fromarray(_continued(np.asarray(image), margin))
    turned = padded.rotate(degrees, Image.Resampling.BILINEAR)
    return turned.crop((margin, margin, margin + width, margin + height))


def _translation(image: Image.Image, pixels: float, _: np.random.Generator) -> Image.Image:
    shift = round(pixels)
    padded = _continued(np.asarray(image), abs(shift))
    start = abs(shift) - shift
    return Image.fromarray(padded[abs(shift) :, start:][: image.height, : image.width])


def _continued(pixels: np.ndarray, margin: int) -> np.ndarray:
    """An image in a frame of repeated border pixels.

    What comes into view on a line is more background. A black edge would be a defect of its own,
    and the study would measure that.
    """
    widths = [(margin, margin), (margin, margin), (0, 0)][: pixels.ndim]
    return np.pad(pixels, widths, mode="edge")


PERTURBATIONS: dict[str, tuple[Perturb, str]] = {
    "brightness": (_brightness, "% of brightness"),
    "contrast": (_contrast, "% of contrast"),
    "blur": (_blur, "px, standard deviation of the blur"),
    "noise": (_noise, "grey levels, standard deviation of the noise"),
    "jpeg": (_jpeg, "JPEG quality"),
    "rotation": (_rotation, "degrees, anticlockwise"),
    "translation": (_translation, "px to the right"),
}
"""What changes an image, and the unit of its severity.

Pixels are those of the original image, and 0 changes nothing."""

BLOCK, BLOCK_BYTES = 16, 1 << 29
"""Images held at once, and their bytes at most, in every perturbation."""


def perturbed_at_once(image_bytes: int, perturbations: int) -> int:
    """Images of so many bytes that are held at once in so many perturbations."""
    return max(1, min(BLOCK, BLOCK_BYTES // (perturbations * image_bytes)))


class Perturbation(NamedTuple):
    """One way in which the pictures change: a key of `PERTURBATIONS`, and how far."""

    name: str
    severity: float


def perturbed_features(
    images: Sequence[tuple[Path, str]],
    perturbations: Sequence[Perturbation],
    passes: Sequence[Pass],
    machine: Machine,
    seed: int,
    label: str,
    bits: int | None = None,
) -> Iterator[dict[Perturbation, Features]]:
    """Features of images in every perturbation; each image is decoded once.

    Parameters
    ----------
    images
        File and SHA-256 of each, in the order of the features.
    perturbations
        Applied to the original image, before it is resized.
    passes
        What is wanted.
    machine
        Where and how to compute.
    seed
        Of random perturbations.
    label
        What is being done, for the terminal.
    bits
        As in `images.decoding.load_image`.

    Yields
    ------
    dict
        For the next images, by perturbation: features by a pass's and an array's name.
    """
    preprocessings = {wanted.preprocessing: wanted.settings for wanted in passes}

    def changed(image: tuple[Path, str]) -> dict[Perturbation, Mapping[str, np.ndarray]]:
        file, sha256 = image
        loaded = load_image(file, bits)
        found = {}
        for each in perturbations:
            picture = perturb(loaded, each.name, each.severity, seed, sha256)
            found[each] = {name: preprocess(picture, how) for name, how in preprocessings.items()}
        return found

    keep_freed_memory()  # before the threads that would get memory of their own
    at_once = perturbed_at_once(resized_bytes(preprocessings), len(perturbations))
    progress = Progress(len(images), label)
    with (
        prepared_extractors(passes, machine) as (_, extractors),
        ThreadPoolExecutor(machine.threads) as pool,
    ):
        # a block is handed out before the next one is decoded: images in every perturbation are
        # what takes memory here
        for start in range(0, len(images), at_once):
            own = images[start : start + at_once]
            block = list(pool.map(changed, own))
            yield {
                each: {
                    wanted.name: extractors[wanted.name](
                        [image[each][wanted.preprocessing] for image in block],
                        [file for file, _ in own],
                    )
                    for wanted in passes
                }
                for each in perturbations
            }
            progress.advance(len(block))
