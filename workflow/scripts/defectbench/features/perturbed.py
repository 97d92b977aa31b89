"""Features of perturbed images, which nobody keeps: made, scored and forgotten block by block."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from defectbench.features.allocator import keep_freed_memory
from defectbench.features.category import Features
from defectbench.features.machine import Machine, prepared_extractors
from defectbench.features.passes import Pass
from defectbench.images.decoding import load_image
from defectbench.images.perturbations import perturb
from defectbench.images.resizing import preprocess

BLOCK = 16
"""Images held at once, in every perturbation: 30 of them at 456×456 take 300 MB."""


class Perturbation(NamedTuple):
    """One way in which the pictures change: a key of `images.perturbations` and how far."""

    name: str
    severity: float


class Image(NamedTuple):
    """A file and its hash, on which random choices depend."""

    file: Path
    sha256: str


def perturbed_features(
    images: Sequence[Image],
    perturbations: Sequence[Perturbation],
    passes: Sequence[Pass],
    machine: Machine,
    seed: int,
    bits: int | None = None,
) -> Iterator[dict[Perturbation, Features]]:
    """Features of images in every perturbation; each image is decoded once.

    Parameters
    ----------
    images
        In the order of the features.
    perturbations
        Applied to the original image, before it is resized.
    passes
        What is wanted.
    machine
        Where and how to compute.
    seed
        Of random perturbations.
    bits
        As in `images.decoding.load_image`.

    Yields
    ------
    dict
        For the next images, by perturbation: features by a pass's and an array's name.
    """
    preprocessings = {wanted.preprocessing: wanted.settings for wanted in passes}

    def squares(image: Image) -> dict[Perturbation, Mapping[str, np.ndarray]]:
        loaded = load_image(image.file, bits)
        found = {}
        for each in perturbations:
            changed = perturb(loaded, each.name, each.severity, seed, image.sha256)
            found[each] = {name: preprocess(changed, how) for name, how in preprocessings.items()}
        return found

    keep_freed_memory()
    with (
        prepared_extractors(passes, machine) as (_, extractors),
        ThreadPoolExecutor(machine.threads) as pool,
    ):
        for start in range(0, len(images), BLOCK):
            block = list(pool.map(squares, images[start : start + BLOCK]))
            yield {
                each: {
                    wanted.name: extractors[wanted.name](
                        np.stack([i[each][wanted.preprocessing] for i in block])
                    )
                    for wanted in passes
                }
                for each in perturbations
            }
