"""One extraction per GPU, also when several jobs or several runs share a machine."""

import contextlib
import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

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
    waiting = False
    while True:
        for index, gpu in enumerate(gpus):
            with _lock_file(folder / f"defectbench-gpu-{gpu}.lock") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield index
                return
        if not waiting:
            print("every GPU has an extraction on it: waiting for one", file=sys.stderr)
            waiting = True
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    """File descriptor of a lock file, made if need be; another user's is opened as it is."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
