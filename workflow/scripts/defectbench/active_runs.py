"""Which runs of the workflow are active in a folder, and how one of them is interrupted."""

import atexit
import contextlib
import errno
import os
import shutil
import signal
from datetime import datetime
from pathlib import Path
from types import FrameType

import psutil
from snakemake.shell import shell

from defectbench.locks import lock
from defectbench.progress import warn

ACTIVE = Path(".snakemake", "active")
"""Holds a file for each run, named by its process and locked as long as that lives."""

LOCKS = Path(".snakemake", "locks")
"""Snakemake's own, which does not say whose it is."""

SCRIPTS = Path(".snakemake", "scripts")
"""Where Snakemake puts the script of a job while that runs."""

LEAST_FREE = 1 << 20
"""Bytes of the disk, for Snakemake's own files."""

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

    def announce(self, dry: bool) -> None:
        """Tell later runs in this folder that this one is active, until its process ends.

        A run that was killed leaves its announcement, Snakemake's lock and jobs that work on. Where
        no other run is active, all of them go.

        Parameters
        ----------
        dry
            Whether nothing is run; it is then only seen whether the folder can be written to.

        Raises
        ------
        OSError
            If it cannot.
        """
        ACTIVE.mkdir(parents=True, exist_ok=True)
        if not os.access(ACTIVE, os.W_OK):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(ACTIVE))
        if shutil.disk_usage(ACTIVE).free < LEAST_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(ACTIVE.parent))
        if dry:
            return
        active, killed = _announced()
        if str(os.getpid()) in (file.name for file in active):
            return  # Snakemake reads the Snakefile of a module several times
        if killed and not active:
            _end_jobs_left()
            for lock_file in LOCKS.glob("*.lock"):
                lock_file.unlink(missing_ok=True)
            began = killed[0].read_text(encoding="utf-8")
            warn(f"the run of {began} in this folder was killed; this one goes on from there")
        for file in killed:
            file.unlink(missing_ok=True)
        own = ACTIVE.absolute() / str(os.getpid())  # `--directory` is left before the exit
        # it stays open, and so locked, until the process ends
        file = os.open(own, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if lock(file, wait=False):
            os.write(file, datetime.now().isoformat(" ", "minutes").encode())
            atexit.register(own.unlink, missing_ok=True)
        else:
            own.unlink()  # it would seem that this run was killed

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


def _end_jobs_left() -> None:
    """End jobs of runs in this folder, whose scripts lie in it."""
    scripts = str(SCRIPTS.absolute())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(part.startswith(scripts) for part in process.cmdline()):
                for each in [process, *process.children(recursive=True)]:
                    each.kill()


def others_active() -> str:
    """Process and start of another run that is active in this folder; empty for none."""
    others = [file for file in _announced()[0] if file.name != str(os.getpid())]
    return (
        f"since {others[0].read_text(encoding='utf-8')}, process {others[0].name}" if others else ""
    )


def _announced() -> tuple[list[Path], list[Path]]:
    """Announcements of runs that are active, and of those that were killed."""
    active: list[Path] = []
    killed: list[Path] = []
    for file in sorted(ACTIVE.glob("*")) if ACTIVE.is_dir() else ():
        with contextlib.suppress(FileNotFoundError), open(file, "r+", encoding="utf-8") as stream:
            try:
                lock(stream, wait=False)
            except BlockingIOError:
                active.append(file)
            else:
                killed.append(file)
    return active, killed
