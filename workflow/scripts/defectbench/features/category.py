"""A category's feature file: images decoded ahead, in blocks that go through every network."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from defectbench.features.allocator import keep_freed_memory
from defectbench.features.devices import Machine, prepared_extractors
from defectbench.features.feature_file import Pass, Tap, keep, open_kept
from defectbench.images.decoding import in_order, load_squares
from defectbench.progress import Progress
from defectbench.storage import create_array, create_h5, read_attributes, write_attributes

BLOCK = 32
AHEAD = 8 * BLOCK
"""Images that may wait, which bounds memory: at 456×456 a block takes 20 MB."""

DAMAGE = (OSError, KeyError, RuntimeError, ValueError)
"""What h5py raises for an array that is absent or cannot be read."""


def decode_ahead(
    files: Sequence[Path],
    preprocessings: Mapping[str, Mapping[str, Any]],
    threads: int,
    bits: int | None = None,
) -> Iterator[dict[str, np.ndarray]]:
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
    keep_freed_memory()  # before the threads that would get memory of their own
    squares = partial(load_squares, preprocessings=preprocessings, bits=bits)
    images = in_order(squares, files, threads, AHEAD)
    blocks = iter(lambda: list(islice(images, BLOCK)), [])
    return (
        {name: np.stack([i[name] for i in block]) for name in preprocessings} for block in blocks
    )


DECODING = "decoding"
"""Key of the seconds that the networks waited for images, beside those of each pass."""

Features = dict[str, dict[str, np.ndarray]]
"""By a pass's and an array's name: float32, one row per image."""


def write_features(
    files: Sequence[Path],
    passes: Sequence[Pass],
    provenances: Mapping[str, Mapping[str, Any]],
    machine: Machine,
    output: Path,
    label: str,
    bits: int | None = None,
) -> dict[str, float]:
    """Write a category's feature file.

    Each image is decoded once for all preprocessings, block by block, while PyTorch is imported
    and networks are loaded; every block then goes through every network. If the last finished
    file holds all that is wanted, no image is decoded and PyTorch is not imported.

    Parameters
    ----------
    files
        The category's images.
    passes
        What is wanted.
    provenances
        By a pass's name: what decides its numbers, device and precision apart, as JSON has it.
    machine
        Where and how to compute.
    output
        Receives a group per pass with float32 arrays (images, channels, height, width) of feature
        maps and (images, dimensions) of vectors.
    label
        What is being done, for the terminal.
    bits
        Bits that 16-bit values use, as in `images.decoding.load_image`.

    Returns
    -------
    dict of str to float
        By the name of each pass that was run: milliseconds per image, decoding included.
    """
    with open_kept(output) as kept:
        held = {each.name: _held(kept, each, provenances[each.name], machine) for each in passes}
        missing = [rest for each in passes if (rest := each.without(held[each.name])).taps]
        seconds: Counter[str] = Counter()
        with _extraction(files, missing, machine, seconds, bits) as (made_on, blocks):
            progress = Progress(len(files), label)
            first = next(blocks, {})  # tells the shapes of what is new
            with create_h5(output, {}) as file:
                for wanted in sorted(passes, key=lambda wanted: wanted.name):
                    old = held[wanted.name]
                    made = read_attributes(kept[wanted.name])["provenance"] if old else made_on
                    group = file.create_group(wanted.name)
                    write_attributes(group, {"provenance": provenances[wanted.name] | made})
                    _create_arrays(group, wanted, old, first.get(wanted.name, {}), len(files))
                for features in chain([first] if missing else [], blocks):
                    _write_rows(file, features, progress)
    keep(output)
    return {
        wanted.name: 1000 * (seconds[DECODING] + seconds[wanted.name]) / len(files)
        for wanted in missing
    }


def _held(
    kept: Mapping[str, h5py.Group], wanted: Pass, provenance: Mapping[str, Any], machine: Machine
) -> dict[Tap, h5py.Dataset]:
    """Those arrays of a pass that a kept file holds whole, and made as they would be made now.

    Parameters
    ----------
    kept
        From `open_kept`.
    wanted
        The pass.
    provenance
        What decides its numbers, device and precision apart.
    machine
        Under ``auto``, the device or precision that an earlier job chose is as good.
    """
    try:
        group = kept[wanted.name]
        made = read_attributes(group)["provenance"]
        name, chosen = made.pop("device"), made.pop("precision")
    except DAMAGE:
        return {}
    kind = "cpu" if name == "CPU" else "cuda"
    as_asked = machine.device in ("auto", kind) and machine.precision in ("auto", chosen)
    if made != provenance or not as_asked:
        return {}
    return {tap: group[tap.name] for tap in wanted.taps if _is_whole(group, tap.name)}


def _is_whole(group: h5py.Group, name: str) -> bool:
    try:
        for chunk in group[name].iter_chunks():
            _ = group[name][chunk]  # HDF5 compares the checksum of what it reads
    except DAMAGE:
        return False
    return True


def _create_arrays(
    group: h5py.Group,
    wanted: Pass,
    held: Mapping[Tap, h5py.Dataset],
    new: Mapping[str, np.ndarray],
    images: int,
) -> None:
    """Make the arrays of a pass: filled with what an earlier job extracted, or still empty."""
    for tap in sorted(wanted.taps):
        rows = held[tap] if tap in held else new[tap.name]
        array = create_array(group, tap.name, (images, *rows.shape[1:]), "float32")
        if tap in held:
            for chunk in rows.iter_chunks():  # a whole array might not fit into memory
                array[chunk] = rows[chunk]


def _write_rows(file: h5py.File, features: Features, progress: Progress) -> None:
    """Write the features of the next images."""
    for name, arrays in features.items():
        for array, values in arrays.items():
            file[name][array][progress.done : progress.done + len(values)] = values
    progress.advance(len(values))


@contextlib.contextmanager
def _extraction(
    files: Sequence[Path],
    missing: Sequence[Pass],
    machine: Machine,
    seconds: Counter[str],
    bits: int | None,
) -> Iterator[tuple[dict[str, str], Iterator[Features]]]:
    """Where and how the missing passes run, and their features, block by block.

    `seconds` counts what decoding and each pass have taken.
    """
    if not missing:
        print("every feature is there: nothing is extracted", file=sys.stderr)
        yield {}, iter(())
        return
    print("runs:", *(wanted.name for wanted in missing), file=sys.stderr)
    preprocessings = {wanted.preprocessing: wanted.settings for wanted in missing}
    blocks = decode_ahead(files, preprocessings, machine.threads, bits)
    with prepared_extractors(missing, machine) as (made_on, extractors):

        def features_of_blocks() -> Iterator[Features]:
            start = time.perf_counter()
            for block in blocks:
                seconds[DECODING] += time.perf_counter() - start
                features = {}
                for wanted in missing:
                    start = time.perf_counter()
                    features[wanted.name] = extractors[wanted.name](block[wanted.preprocessing])
                    seconds[wanted.name] += time.perf_counter() - start
                yield features
                start = time.perf_counter()

        yield made_on, features_of_blocks()
