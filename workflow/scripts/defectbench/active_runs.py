"""Which runs of the workflow are active in a folder, and how one of them is interrupted."""

import os
import signal
from datetime import datetime
from pathlib import Path
from types import FrameType

import psutil
from snakemake.shell import shell

from defectbench.locks import lock

ACTIVE = Path(".snakemake", "active")
"""Holds a file for each run, named by its process and locked as long as that lives."""

IGNORING_INTERRUPTS = "trap '' INT; set -euo pipefail; "
"""Begins each job's command, in place of Snakemake's own beginning without the trap."""


class Run:
    """This run, from now to the end of its process.

    Attributes
    ----------
    interrupted
        Whether its user has pressed Ctrl-C.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def announce(self) -> None:
        """Tell later runs in this folder that this one is active."""
        ACTIVE.mkdir(parents=True, exist_ok=True)
        # it stays open, and so locked, until the process ends
        file = os.open(ACTIVE / str(os.getpid()), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        lock(file, wait=False)
        os.write(file, datetime.now().isoformat(" ", "minutes").encode())

    def end_jobs_quietly(self) -> None:
        """Let Ctrl-C reach this process alone, which then ends its jobs.

        A terminal sends it to all processes, and each job would print where it was.
        """
        shell.prefix(IGNORING_INTERRUPTS)
        signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        for process in psutil.Process().children(recursive=True):
            process.terminate()
        raise KeyboardInterrupt


def others_active() -> str:
    """Process and start of another run that is active in this folder; empty for none."""
    for file in sorted(ACTIVE.glob("*")) if ACTIVE.is_dir() else ():
        if file.name == str(os.getpid()):
            continue
        with open(file, "r+", encoding="utf-8") as stream:
            try:
                lock(stream, wait=False)
            except BlockingIOError:
                return f"since {stream.read()}, process {file.name}"
        file.unlink()
    return ""
