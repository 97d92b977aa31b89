"""Images decoded ahead of their use, in blocks of a fixed size."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.features.allocator import keep_freed_memory
from defectbench.images.decoding import decode_images

BLOCK = 32
AHEAD = 8
"""Blocks that may wait, which bounds memory: at 456×456 one takes 20 MB."""

Block = Mapping[str, np.ndarray]


def decode_ahead(
    files: Sequence[Path],
    preprocessings: Mapping[str, Mapping[str, Any]],
    threads: int,
    bits: int | None = None,
) -> Iterator[Block]:
    """Start decoding at once, in threads of its own, and hand out blocks of images in order.

    Parameters
    ----------
    files
        Image files; each is decoded once for all preprocessings.
    preprocessings
        Entries of ``preprocessings`` in the config, by name.
    threads
        How many to decode at once.
    bits
        As in `images.decoding.load_image`.

    Returns
    -------
    iterator of dict of ndarray
        By the preprocessing's name: uint8, (`BLOCK` or fewer at the end, side, side, 3), RGB.
        An error in decoding is raised where its block would have come.
    """
    waiting: queue.Queue[Block | Exception | None] = queue.Queue(AHEAD)

    def decode() -> None:
        try:
            decoded = decode_images(files, preprocessings, threads, bits)
            while True:
                images = list(islice(decoded, BLOCK))
                if not images:
                    break
                waiting.put({name: np.stack([i[name] for i in images]) for name in preprocessings})
            waiting.put(None)
        except Exception as error:
            waiting.put(error)

    keep_freed_memory()  # before the threads that would get memory of their own
    threading.Thread(target=decode, daemon=True).start()
    return _until_none(waiting)


def _until_none(waiting: "queue.Queue[Block | Exception | None]") -> Iterator[Block]:
    while (block := waiting.get()) is not None:
        if isinstance(block, Exception):
            raise block
        yield block
