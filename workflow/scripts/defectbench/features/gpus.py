"""GPUs of this machine: whether there may be one, and one extraction at a time on each."""

import contextlib
import fcntl
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 1.0
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Devices of NVIDIA's driver, the same below Windows, and AMD's."""


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
