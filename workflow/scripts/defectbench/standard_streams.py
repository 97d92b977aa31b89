"""Standard streams of a command: that nobody listens is no reason to stop."""

import errno
import io
import os
import sys
from typing import TextIO

OUTPUT, MESSAGES = "standard output", "standard error"

UNHEARD = frozenset({errno.EPIPE, errno.EIO})
"""Errors of a pipe whose reader has seen enough, as `head` has, and of a terminal that is gone."""


class _Written(io.FileIO):
    """Where a stream is written to; after an error nothing more becomes of what is written.

    The error is raised once, with the stream's name, if somebody would have wanted to know: not
    where nobody listens, and not of messages, for there is no place left to say it.
    """

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, "w", closefd=False)
        self.name = name

    def write(self, data: memoryview) -> int | None:
        """Write some of the bytes; how many."""
        try:
            return super().write(data)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            if error.errno in UNHEARD or self.name == MESSAGES:
                return super().write(data)
            raise OSError(error.errno, error.strerror, self.name) from error


def let_nobody_listen() -> None:
    """Let this process work on where its standard streams are closed, now or later.

    Names that a terminal cannot show are escaped. Streams that a caller has put in the place of
    the process's own are left alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else a file that is opened next would take the number of a closed stream
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = sys.__stdin__ = io.StringIO()
    if sys.stdout is sys.__stdout__:
        sys.stdout = sys.__stdout__ = _of_process(sys.stdout, OUTPUT)
    if sys.stderr is sys.__stderr__:
        sys.stderr = sys.__stderr__ = _of_process(sys.stderr, MESSAGES)


def _of_process(stream: TextIO | None, name: str) -> TextIO:
    """A stream of this process in the place of the one that it has begun with; None was closed."""
    if stream is None:
        return open(os.devnull, "w", errors="backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(_Written(stream.fileno(), name)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )
