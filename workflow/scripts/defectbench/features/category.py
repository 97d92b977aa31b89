"""A category's feature file: images decoded ahead, in blocks that go through every network."""

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectbench.features.decoded import decode_ahead
from defectbench.features.devices import Machine, prepared_extractors
from defectbench.features.feature_file import Made, Pass
from defectbench.features.finished import (
    Block,
    Finished,
    claim_blocks,
    keep,
    kept_name,
    write_block,
)
from defectbench.progress import Progress
from defectbench.storage import create_h5

if TYPE_CHECKING:
    from defectbench.features.extraction import Extractor

DECODING = "decoding"
"""Key of the seconds that the networks waited for images, beside those of each pass."""

Features = dict[str, dict[str, np.ndarray]]
"""By a pass's and an array's name: float32, one row per image."""


class Work(NamedTuple):
    """What has to be extracted in a pass.

    Attributes
    ----------
    wanted
        The pass with those taps alone that lack features of any image.
    images
        Numbers of the images.
    """

    wanted: Pass
    images: frozenset[int]


def write_features(
    images: Sequence[tuple[Path, str]],
    passes: Sequence[Pass],
    provenances: Mapping[str, Mapping[str, Any]],
    machine: Machine,
    output: Path,
    label: str,
    bits: int | None = None,
) -> dict[str, float]:
    """Write a category's feature file.

    Images are decoded once for all preprocessings, block by block, while PyTorch is imported and
    networks are loaded; every block then goes through every network that lacks it, and is stored.
    The file is put together when all are there. Features that an earlier job finished, of the same
    image and made in the same way, are taken over; if it has finished all, no image is decoded and
    PyTorch is not imported.

    Parameters
    ----------
    images
        File and SHA-256 of each image of the category.
    passes
        What is wanted.
    provenances
        By a pass's name: what decides its numbers, device and precision apart, as JSON has it.
        A key ``images_sha256`` is stored in the file and decides nothing.
    machine
        Where and how to compute.
    output
        Receives a group per pass with float32 arrays, or float16 ones if the machine stores those:
        (images, channels, height, width) of feature maps, (images, dimensions) of vectors, and
        (images, tiles, dimensions) of those of tiles.
    label
        What is being done, for the terminal.
    bits
        Bits that 16-bit values use, as in `images.decoding.load_image`.

    Returns
    -------
    dict of str to float
        By the name of each pass that was run: milliseconds per image, decoding included.
    """
    blocks = claim_blocks(output)
    earlier = [kept_name(output), *sorted(blocks.glob("*.h5"))]
    finished = {each.name: Finished(each, provenances[each.name], earlier) for each in passes}
    digests = [sha256 for _, sha256 in images]
    extraction = Extraction(images, provenances, machine, finished, blocks, bits)
    made_on = None
    # twice at most: what another device computed cannot be completed here, and is left out then
    while work := _work(passes, finished, digests, machine, made_on):
        made_on = extraction.run(work, label)
    if made_on is None:
        print("every feature is there: nothing is extracted", file=sys.stderr)
    with create_h5(output, {}) as file:
        for each in sorted(passes, key=lambda each: each.name):
            rows = finished[each.name]
            made = _chosen(rows, digests, machine, made_on)
            rows.write(file.create_group(each.name), provenances[each.name], made, digests)
    keep(output, blocks)
    return extraction.milliseconds()


def _work(
    passes: Sequence[Pass],
    finished: Mapping[str, Finished],
    images: Sequence[str],
    machine: Machine,
    made_on: Made | None,
) -> list[Work]:
    """What is missing of each pass that lacks anything."""
    found = []
    for each in passes:
        rows = finished[each.name]
        missing = rows.missing(_chosen(rows, images, machine, made_on), images)
        if missing:
            numbers = frozenset().union(*missing.values())
            found.append(Work(each._replace(taps=tuple(missing)), numbers))
    return found


def _chosen(
    finished: Finished, images: Sequence[str], machine: Machine, made_on: Made | None
) -> Made | None:
    """Device and precision of all rows that a pass will have: those which lack least.

    Parameters
    ----------
    finished
        Rows of the pass.
    images
        SHA-256 of each.
    machine
        Under ``auto``, the device or precision that an earlier job chose is as good.
    made_on
        Where this job computes, once that is known: then those, if none lack nothing.
    """

    def lacking(made: Made) -> int:
        return sum(map(len, finished.missing(made, images).values()))

    found = [made for made in finished.all_made() if machine.gives(made)]
    best = min(found, key=lacking, default=made_on)
    return best if made_on is None or best is None or not lacking(best) else made_on


@dataclass
class Extraction:
    """Computes features that are missing and stores them block by block.

    Attributes
    ----------
    images, provenances, machine, bits
        As in `write_features`.
    finished
        By the pass's name: learns of every block.
    folder
        Receives the blocks.
    """

    images: Sequence[tuple[Path, str]]
    provenances: Mapping[str, Mapping[str, Any]]
    machine: Machine
    finished: Mapping[str, Finished]
    folder: Path
    bits: int | None
    _seconds: Counter[str] = field(default_factory=Counter, init=False)
    _counts: Counter[str] = field(default_factory=Counter, init=False)

    def run(self, work: Sequence[Work], label: str) -> Made:
        """Compute and store what is missing; tells where and how it was computed."""
        numbers = sorted(frozenset().union(*(each.images for each in work)))
        names = ", ".join(each.wanted.name for each in work)
        print(f"extracts {len(numbers)} of {len(self.images)} images: {names}", file=sys.stderr)
        preprocessings = {each.wanted.preprocessing: each.wanted.settings for each in work}
        images = [self.images[number] for number in numbers]
        decoded = decode_ahead(images, preprocessings, self.machine.threads, self.bits)
        with prepared_extractors([each.wanted for each in work], self.machine) as (made, networks):
            progress, start = Progress(len(numbers), label), time.perf_counter()
            for block in decoded:
                of_block = numbers[progress.done : progress.done + len(block)]
                self._count(DECODING, start, len(of_block))
                self._store(
                    {
                        each.wanted.name: self._features(each, of_block, block, networks, made)
                        for each in work
                        if not each.images.isdisjoint(of_block)
                    }
                )
                progress.advance(len(of_block))
                start = time.perf_counter()
        return made

    def _features(
        self,
        work: Work,
        numbers: Sequence[int],
        block: Sequence[Mapping[str, np.ndarray]],
        networks: Mapping[str, "Extractor"],
        made: Made,
    ) -> Block:
        """Features of those images of a block that a pass lacks."""
        start, name = time.perf_counter(), work.wanted.name
        places = [place for place, number in enumerate(numbers) if number in work.images]
        files, digests = zip(*(self.images[numbers[place]] for place in places), strict=True)
        images = [block[place][work.wanted.preprocessing] for place in places]
        arrays = networks[name](images, files)
        stored = {
            tap: values.astype(self.machine.stored, copy=False) for tap, values in arrays.items()
        }
        self._count(name, start, len(places))
        return Block(self.provenances[name], made, digests, stored)

    def _store(self, block: Mapping[str, Block]) -> None:
        file = write_block(self.folder, block)
        for name, part in block.items():
            self.finished[name].add(file, part)

    def _count(self, name: str, start: float, images: int) -> None:
        self._seconds[name] += time.perf_counter() - start
        self._counts[name] += images

    def milliseconds(self) -> dict[str, float]:
        """By the pass's name: per image, decoding included."""
        per_image = {name: 1000 * self._seconds[name] / n for name, n in self._counts.items()}
        decoding = per_image.pop(DECODING, 0.0)
        return {name: decoding + own for name, own in per_image.items()}
