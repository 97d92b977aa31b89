"""Progress of long work."""

import sys
import time

from defectbench.names import printable, visible

PROGRESS_SECONDS = 5
CLEAR_LINE = "\r\033[K"
"""Takes the place of the line of progress that stands on a terminal."""


class Progress:
    """Images done, rate and time left: in the job's log, and on the terminal if there is one.

    Parameters
    ----------
    total
        Images to do.
    label
        What is being done, for the terminal, where several jobs may speak.
    unit
        What is counted.
    if_long
        Whether work that is done before the first line is due gets none.
    """

    def __init__(
        self, total: int, label: str, unit: str = "images", *, if_long: bool = False
    ) -> None:
        self.total, self.label, self.unit, self.done = total, label, unit, 0
        self._if_long = if_long
        self._started = self._shown = time.monotonic()

    def advance(self, images: int) -> None:
        """Count images as done; say so every few seconds and at the end, but not of none."""
        self.done += images
        now = time.monotonic()
        soon = now - self._shown < PROGRESS_SECONDS
        is_last = self.done == self.total and not (self._if_long and self._shown == self._started)
        if (soon and not is_last) or not self.done:
            return
        self._shown = now
        rate = self.done / max(now - self._started, 1e-9)
        left = (self.total - self.done) / rate
        line = f"{self.done}/{self.total} {self.unit}, {rate:.1f} {self.unit}/s, {left:.0f} s left"
        say(self.label, line)


def say(label: str, line: str) -> None:
    """A line in the job's log; on a terminal, over the last such line."""
    print(line, file=sys.stderr)
    terminal = sys.__stderr__
    if terminal is not None and terminal is not sys.stderr and terminal.isatty():
        # a finished stage has a line of its own
        terminal.write(f"{CLEAR_LINE}{printable(label)}: {line}")
        terminal.flush()


def warn(line: str) -> None:
    """Say something worth knowing in the job's log and to whoever runs the workflow."""
    for stream in {sys.stderr, sys.__stderr__} - {None}:
        clear = CLEAR_LINE if stream.isatty() else ""
        print(f"{clear}warning: {visible(line)}", file=stream)
