"""A folder that fills: each image is scored once it is whole, and again when its name is reused."""

import itertools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from defectbench.deployment.folder import FolderScoring
from defectbench.deployment.reading import Read, State, state_of
from defectbench.errors import InputError
from defectbench.score_table import Row

LOOK_SECONDS = 0.5
"""Pause between two looks into a folder in which nothing is to be read; longer where a look takes
longer, so that a folder of many thousand images does not occupy a processor."""

SETTLED_SECONDS = 1.0
"""A file is read once it has not changed for so long.

So what is written while it is read shows in its times, however coarse the clock of a file system:
most tell a hundredth of a second, FAT two seconds, and there a change of size tells."""

BATCH_SECONDS = 5.0
"""After so long a look for later arrivals comes before further files of an earlier look."""

GIVE_UP_SECONDS = 60.0


@dataclass
class _File:
    """A file in its present state, first seen at a time of the monotonic clock."""

    state: State
    since: float
    tried: bool = False
    done: bool = False  # read whole, or given up


class Arrivals:
    """Which files of a folder that fills are to be read, and which of them are done with.

    Parameters
    ----------
    give_up
        Seconds after its last change at which a file that cannot be read is tried a last time.
    """

    def __init__(self, give_up: float = GIVE_UP_SECONDS) -> None:
        self._give_up = give_up
        self._files: dict[Path, _File] = {}

    def ready(self, states: Mapping[Path, State], now: float) -> list[Path]:
        """Files to be read now, of those that a look has found, in its order."""
        known = self._files
        self._files = {
            path: known[path] if path in known and known[path].state == state else _File(state, now)
            for path, state in states.items()
        }
        return [path for path, file in self._files.items() if self._is_due(file, now)]

    def is_done(self, read: Read) -> bool:
        """Whether what was read of a file stands: it is whole, or given up.

        A file that changed while it was read is neither: the next look sees the change.
        """
        file = self._files[read.path]
        if read.state != file.state:
            return False
        file.done = file.tried or not isinstance(read.found, InputError)
        file.tried = True
        return file.done

    def _is_due(self, file: _File, now: float) -> bool:
        wait = max(self._give_up, SETTLED_SECONDS) if file.tried else SETTLED_SECONDS
        return not file.done and now - file.since >= wait


def watch(scoring: FolderScoring, arrivals: Arrivals, tell: Callable[[Row], None]) -> None:
    """Score what comes into a folder until `scoring.stopped`; the folder may go and come back.

    Parameters
    ----------
    scoring
        Of the folder.
    arrivals
        Empty.
    tell
        Says a verdict, once its row is on the disk.
    """
    is_there = True
    while not scoring.stopped:
        begun = time.monotonic()
        states = look(scoring)
        if (states is not None) != is_there:
            is_there = not is_there
            what = "is there again" if is_there else "is not there: waiting for it"
            print(f"{scoring.options.images} {what}", file=sys.stderr)
        now = time.monotonic()
        ready = arrivals.ready(states, now) if states is not None else []
        if not ready:
            time.sleep(max(LOOK_SECONDS, now - begun))
            continue
        # after a restart most names are known: they may wait until new parts have their verdicts
        ready.sort(key=lambda path: scoring.name(path) in scoring.known)
        until = now + BATCH_SECONDS
        for read in scoring.read(
            itertools.takewhile(lambda _, until=until: time.monotonic() < until, ready)
        ):
            if arrivals.is_done(read) and (row := scoring.record(read)):
                tell(row)


def look(scoring: FolderScoring) -> dict[Path, State] | None:
    """States of the images that are there; None without the folder."""
    try:
        if not scoring.options.images.is_dir():
            return None
        states = {path: state_of(path) for path in scoring.images()}
    except OSError:  # of a share that goes just now
        return None
    return {path: state for path, state in states.items() if state is not None}
