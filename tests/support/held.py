"""Runs in the background, whose jobs stand still in the middle of their work until they are told.

No test needs to be quick for that, nor the machine slow: a held job stops by itself.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import psutil
from runs import DEADLINE, snakemake_command

# Python imports it before anything else
STOP = """
import json, os, signal, sys

with open(os.path.join(os.path.dirname(__file__), "held.json")) as file:
    script, at_start, after = json.load(file)
complete = []

def stop(event, arguments):
    if event == "os.rename" and os.fsdecode(arguments[0]).endswith(".part"):
        complete.append(event)
        if len(complete) == after + 1:
            os.kill(os.getpid(), signal.SIGSTOP)

if script and any(word.endswith(script) for word in sys.orig_argv):
    sys.addaudithook(stop)
    if at_start:
        os.kill(os.getpid(), signal.SIGSTOP)
"""


def hold(folder: Path, script: str, *, at_start: bool = False, after: int = 0) -> dict[str, str]:
    """Let each job of a script stop where its first file is complete but not yet in its place.

    Parameters
    ----------
    folder
        Of the run.
    script
        Name of the script; from now on, no job of another is held, and with "" none at all.
    at_start
        Whether its jobs stop also before they have read anything.
    after
        Files that come into their places before it stops at the next one.

    Returns
    -------
    dict of str to str
        Environment of the run.
    """
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(STOP)
    (hook / "held.json").write_text(json.dumps([script, at_start, after]))
    path = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def is_job(process: psutil.Process, script: str, *, stopped: bool = True) -> bool:
    """Whether a process is the job of a script that has stopped, or any job of it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if any(word.endswith(script) for word in process.cmdline()):
            return not stopped or process.status() == psutil.STATUS_STOPPED
    return False


class StartedRun:
    """A run in the background, which is killed with the block that it is started for.

    Parameters
    ----------
    folder
        Of the run, with its config.
    *arguments
        Of Snakemake.
    held, at_start, after
        Script whose jobs stop, whether at their start too, and after how many files, as in `hold`.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        held: str = "",
        at_start: bool = False,
        after: int = 0,
    ) -> None:
        self._log = folder / "run.log"
        command = snakemake_command(folder, *arguments)
        environment = hold(folder, held, at_start=at_start, after=after)
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

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
            for process in self._jobs():
                if is_job(process, script, stopped=stopped):
                    return process
            time.sleep(0.05)
        raise AssertionError(f"{script} did not come so far:\n{self.said()}")

    def wait(self) -> int:
        """Exit status of Snakemake."""
        return self.process.wait(DEADLINE)

    def said(self) -> str:
        return self._log.read_text()

    def interrupt(self) -> None:
        """Send Ctrl-C to Snakemake and all that it has started, as a terminal does."""
        for process in (psutil.Process(self.process.pid), *self._jobs()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)

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
