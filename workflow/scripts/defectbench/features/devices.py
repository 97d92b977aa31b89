"""Networks made ready on the device that is asked for; one extraction per GPU."""

import contextlib
import fcntl
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from defectbench.features.feature_file import Pass
from defectbench.garbage import not_collecting

if TYPE_CHECKING:
    from defectbench.features.extraction import Extractor

POLL_SECONDS = 1.0
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Devices of NVIDIA's driver, the same below Windows, and AMD's."""


CPU = "CPU"
"""Name of a CPU as a device, whichever it is."""


class Made(NamedTuple):
    """Where and how features were computed.

    Attributes
    ----------
    device
        Name of the GPU, or `CPU`.
    precision
        ``fp32`` or ``bf16``.
    """

    device: str
    precision: str


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
    passes: Sequence[Pass], machine: Machine
) -> Iterator[tuple[Made, dict[str, "Extractor"]]]:
    """Networks loaded and moved to their device; a GPU is claimed last, until the block ends.

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
        from defectbench.features import extraction
        from defectbench.features.backbones import load_backbone
    extractors = {
        wanted.name: extraction.Extractor(
            load_backbone(wanted.backbone, wanted.weights),
            wanted.taps,
            wanted.side,
            machine.stored,
        )
        for wanted in passes
    }
    with extraction.claimed_device(machine.device) as device:
        precision = extraction.select_precision(machine.precision, device)
        for extractor in extractors.values():
            extractor.to(device, precision, machine.threads)
        yield Made(extraction.device_name(device), precision), extractors


def gpu_driver_is_loaded() -> bool:
    """Whether PyTorch may find a GPU here; to ask PyTorch itself takes seconds."""
    return any(Path(device).exists() for device in DRIVERS)


@contextlib.contextmanager
def claimed_gpu(gpus: Sequence[str], locks: Path | None = None) -> Iterator[int]:
    """Index of a GPU that no other extraction on this machine uses, waiting for one if need be.

    The claim is a lock on a file, which the system gives up when the process ends, however it
    ends. A single GPU in ``CUDA_VISIBLE_DEVICES`` is a scheduler's choice and is taken as it is.

    Parameters
    ----------
    gpus
        Identifier of each visible GPU, the same for all processes of the machine.
    locks
        Folder of the lock files; the machine's temporary folder by default.
    """
    if len(gpus) == 1 and os.environ.get("CUDA_VISIBLE_DEVICES"):
        yield 0
        return
    folder = locks or Path(tempfile.gettempdir())
    for attempt in itertools.count():
        for index, gpu in enumerate(gpus):
            with _lock_file(folder / f"defectbench-gpu-{gpu}.lock") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield index
                return
        if attempt == 0:
            print("every GPU has an extraction on it: waiting for one", file=sys.stderr)
        time.sleep(POLL_SECONDS)


def _lock_file(path: Path) -> BinaryIO:
    """A lock file, opened to be read: another user's could not be written, nor touched."""
    if not path.exists():
        path.touch(0o644)
    return open(path, "rb")
