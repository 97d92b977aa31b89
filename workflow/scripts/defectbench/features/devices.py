"""Networks made ready on the device and in the precision that are asked for."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from defectbench.features.feature_file import CPU, Made, Pass
from defectbench.garbage import not_collecting

if TYPE_CHECKING:
    from defectbench.features.extraction import Extractor


@dataclass(frozen=True)
class Machine:
    """Where and how features are computed.

    Attributes
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``.
    precision
        ``auto``, ``fp32`` or ``bf16``.
    threads
        For decoding and for the network.
    storage
        Precision in which features are stored: ``fp32`` or ``fp16``.
    """

    device: str
    precision: str
    threads: int
    storage: str = "fp32"

    @property
    def stored(self) -> type:
        """Type of a stored number."""
        return {"fp32": np.float32, "fp16": np.float16}[self.storage]

    def gives(self, made: Made) -> bool:
        """Whether features would be computed like this here; under ``auto``, perhaps."""
        kind = "cpu" if made.device == CPU else "cuda"
        return self.device in ("auto", kind) and self.precision in ("auto", made.precision)


@contextlib.contextmanager
def prepared_extractors(
    passes: Sequence[Pass], machine: Machine, batch: int | None = None
) -> Iterator[tuple[Made, dict[str, "Extractor"]]]:
    """Networks loaded and moved to their device; a GPU is claimed last, until the block ends.

    Parameters
    ----------
    batch
        As in `forward.ForwardPasses.to`; 1 to time single images, for a batch that is not full is
        filled up.

    Yields
    ------
    made : Made
        Device and precision.
    extractors : dict of str to Extractor
        By the pass's name.

    Raises
    ------
    InputError
        If weights do not fit, a layer cannot be read, or a GPU is asked for and there is none.
    """
    with not_collecting():  # late: rules import this module too, and PyTorch takes seconds
        from defectbench.features import device_choice, extraction
        from defectbench.features.backbones import load_backbone
    extractors = {
        wanted.name: extraction.Extractor(
            load_backbone(wanted.backbone, wanted.weights),
            wanted.taps,
            wanted.settings,
            machine.stored,
        )
        for wanted in passes
    }
    with device_choice.claimed_device(machine.device) as device:
        precision = device_choice.select_precision(machine.precision, device)
        for extractor in extractors.values():
            extractor.to(device, precision, machine.threads, batch)
        yield Made(device_choice.device_name(device), precision), extractors
