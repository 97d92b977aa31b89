"""Runs in the background, whose jobs stand still in the middle of their work until they are told.

No test needs to be quick for that, nor the machine slow: a held job stops by itself.
"""

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Self

import psutil
from runs import DEADLINE, snakemake_command

# Python imports it before anything else; the job stops where its first output is complete and
# about to be put in its place
STOP = """
import os, signal, sys

stopped = []

def stop(event, arguments):
    if event == "os.rename" and not stopped and os.fsdecode(arguments[0]).endswith(".part"):
        stopped.append(event)
        os.kill(os.getpid(), signal.SIGSTOP)

if any(word.endswith(tuple(os.environ["HELD"].split())) for word in sys.orig_argv):
    sys.addaudithook(stop)
"""


class StartedRun:
    """A run in the background, which is killed with the block that it is started for.

    Parameters
    ----------
    folder
        Of the run, with its config.
    *arguments
        Of Snakemake.
    held
        Scripts whose jobs stop once each, where their first output is complete but not yet in its
        place.
    """

    def __init__(self, folder: Path, *arguments: str, held: tuple[str, ...] = ()) -> None:
        self._log, hook = folder / "run.log", folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(STOP)
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(
                snakemake_command(folder, *arguments),
                stdout=log,
                stderr=log,
                env=os.environ | {"HELD": " ".join(held), "PYTHONPATH": str(hook)},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._jobs(), self.process):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def job(self, script: str, *, stopped: bool = True) -> psutil.Process:
        """The job of a script, once it has stopped; ``resume`` lets it go on."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and self.process.poll() is None:
            for job in self._jobs():
                with contextlib.suppress(psutil.NoSuchProcess):
                    is_its = any(word.endswith(script) for word in job.cmdline())
                    if is_its and (not stopped or job.status() == psutil.STATUS_STOPPED):
                        return job
            time.sleep(0.05)
        raise AssertionError(f"{script} was not held:\n{self.said()}")

    def wait(self) -> int:
        """Exit status of Snakemake."""
        return self.process.wait(DEADLINE)

    def said(self) -> str:
        return self._log.read_text()

    def _jobs(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []


def wait_for_the_end(orphan: psutil.Process) -> None:
    """Of a job whose Snakemake was killed; nobody may be there to collect its status."""
    deadline = time.monotonic() + DEADLINE
    with contextlib.suppress(psutil.NoSuchProcess):
        while orphan.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "an orphan goes on for ever"
            time.sleep(0.05)
