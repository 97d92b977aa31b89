"""A category's images decoded ahead of the networks, in blocks of bounded size."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np

from defectbench.errors import InputError
from defectbench.features.allocator import keep_freed_memory
from defectbench.images.canvas import Preprocessing, canvas
from defectbench.images.decoding import in_order, load_resized
from defectbench.provenance import file_sha256

BLOCK, AHEAD = 32, 256
MOST_BYTES = 1 << 26
"""Images of a block, and those that may wait, at most; bytes of either."""


def decode_ahead(
    images: Sequence[tuple[Path, str]],
    preprocessings: Mapping[str, Preprocessing],
    threads: int,
    bits: int | None = None,
) -> Iterator[list[dict[str, np.ndarray]]]:
    """Start decoding at once, in threads of its own, and hand out blocks of images in order.

    Parameters
    ----------
    images
        File and SHA-256 of each image; each is decoded once for all preprocessings.
    preprocessings
        By name, from `images.canvas.with_canvas`.
    threads
        How many to decode at once.
    bits
        As in `images.decoding.load_image`.

    Returns
    -------
    iterator of list of dict
        Of each image of a block, by the preprocessing's name: uint8, (height, width, 3), RGB. An
        error in decoding is raised where its block would have come, and so is one of a file whose
        content has changed: features are found again by it.
    """

    def resized(image: tuple[Path, str]) -> dict[str, np.ndarray]:
        file, sha256 = image
        found = load_resized(file, preprocessings, bits)
        if file_sha256(file) != sha256:
            raise InputError(
                f"{file}: changed while features of it were computed; run the same command again"
            )
        return found

    keep_freed_memory()  # before the threads that would get memory of their own
    image_bytes = resized_bytes(preprocessings)
    loaded = in_order(resized, images, threads, images_ahead(image_bytes, threads))
    at_once = images_at_once(image_bytes)
    return iter(lambda: list(islice(loaded, at_once)), [])


def resized_bytes(preprocessings: Mapping[str, Preprocessing]) -> int:
    """Bytes of an image in all preprocessings."""
    return sum(3 * prod(canvas(settings)) for settings in preprocessings.values())


def images_ahead(image_bytes: int, threads: int) -> int:
    """Images of so many bytes that are decoded before their block begins."""
    return max(threads, min(AHEAD, MOST_BYTES // image_bytes))


def images_at_once(image_bytes: int) -> int:
    """Images of so many bytes in a block."""
    return max(1, min(BLOCK, MOST_BYTES // image_bytes))
