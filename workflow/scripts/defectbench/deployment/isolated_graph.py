"""A detector's graph in a process of its own: what a stranger's graph does ends there."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.deployment.detector_file import LARGEST_METADATA
from defectbench.deployment.messages import connected, receive, receive_header, send
from defectbench.errors import InputError
from defectbench.names import printable
from defectbench.provenance import SCRIPTS

LARGEST_HEADER = 8 * LARGEST_METADATA
"""Bytes; metadata may have to be escaped."""

LARGEST_MAP = 1 << 24
"""Pixels."""

LONGEST_REASON = 300


class Allowance(NamedTuple):
    """What a graph may use for one answer: bytes that it can write to, and seconds."""

    memory: int
    seconds: int


def allowance(file_bytes: int, pixels: int, threads: int) -> Allowance:
    """What a detector may use, several times what those of this project need.

    Parameters
    ----------
    file_bytes
        Size of the detector.
    pixels
        Of all images that it scores at once, as large as the network sees them; 0 to load it.
    threads
        Of the network, each with a stack.
    """
    memory = (2 << 30) + (16 << 20) * threads + 8 * file_bytes + 8192 * pixels
    return Allowance(memory, 60 + file_bytes // 10**7 + pixels // 10**4)


class IsolatedGraph:
    """The graph of a detector's file, loaded in a process of its own.

    Parameters
    ----------
    file
        The detector.
    threads, gives_way
        As for `graph_process.session_options`.

    Attributes
    ----------
    told
        By the process: ``sha256`` and ``metadata`` (text) of the file, ``inputs`` and ``outputs``
        of the graph (name, type, shape), ``is_limited``: whether its memory is.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or is no model that can be loaded.
    """

    def __init__(self, file: Path, threads: int, gives_way: bool) -> None:
        try:
            self._file_bytes, self._threads = file.stat().st_size, threads
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})") from error
        allowed = self.allowance(0)
        self._end, theirs = connected()
        self._arrivals = select.poll()
        self._arrivals.register(self._end, select.POLLIN)
        with theirs:
            self._process = started(theirs, file, threads, gives_way, allowed)
        # also when this is forgotten, and when the program ends
        self.close = weakref.finalize(self, _ended, self._end, self._process)
        with self._watched():
            self.told = self._answer(allowed)

    @property
    def is_running(self) -> bool:
        """Whether it still can be asked."""
        return self.close.alive

    def allowance(self, pixels: int) -> Allowance:
        """What it may use to score images of so many pixels together; 0 to load it."""
        return allowance(self._file_bytes, pixels, self._threads)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Outputs of the graph for images (n_images, height, width, 3), uint8.

        Returns
        -------
        list of ndarray
            float64 (n_images,), bool (n_images,) and, if there is one, the map: float32,
            (n_images, height, width).

        Raises
        ------
        InputError
            If it gives no such outputs, or ends before. It is over then, unless it said itself
            what was wrong.
        """
        allowed = self.allowance(images.size // 3)
        images = np.ascontiguousarray(images)
        with self._watched():
            send(self._end, {"shape": images.shape, **allowed._asdict()}, [images])
            described = self._answer(allowed)["outputs"]
            if not self._are_outputs(described, len(images)):
                raise ValueError("outputs of other types or shapes than those of a detector")
            return [receive(self._end, np.empty(shape, kind)) for kind, shape in described]

    def _answer(self, allowed: Allowance) -> dict[str, Any]:
        # seconds are counted, for to a process that was stopped and goes on none have passed
        if not any(self._arrivals.poll(1000) for _ in range(allowed.seconds)):
            raise TimeoutError(allowed.seconds)
        header = receive_header(self._end, LARGEST_HEADER)
        if "error" in header:
            raise InputError(_shown(header["error"]))
        return header

    def _are_outputs(self, described: Any, n_images: int) -> bool:
        """Whether outputs are those that `run` gives."""
        _, *sides = described[2][1] if described[2:] else (n_images, 1, 1)
        expected = [["<f8", [n_images]], ["|b1", [n_images]], ["<f4", [n_images, *sides]]]
        fits = described == expected[: len(self.told["outputs"])]
        return fits and len(sides) == 2 and 1 <= prod(sides) <= LARGEST_MAP

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """End the process, and say so, if it does not answer as it should."""
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise InputError(f"gives no answer within {error} s") from error
        except (EOFError, OSError) as error:
            raise InputError(f"its process has ended ({self._how_it_ended()})") from error
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            self.close()
            raise InputError(f"not a detector: it gives {_shown(error)}") from error

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        code, said = self._process.poll(), self.close()
        if code is not None and code < 0:
            return signal.strsignal(-code) or f"signal {-code}"
        return _shown(said) or f"exit status {code}"


def started(
    end: socket.socket, file: Path, threads: int, gives_way: bool, allowed: Allowance
) -> subprocess.Popen[str]:
    """A process of `graph_process` that has begun to load a detector."""
    module, number = "defectbench.deployment.graph_process", end.fileno()
    numbers = map(str, (threads, int(gives_way), *allowed))
    paths = [str(SCRIPTS), os.environ.get("PYTHONPATH")]
    return subprocess.Popen(
        # without -P it would import what lies in the folder where the user stands
        [sys.executable, "-P", "-m", module, str(number), file, *numbers],
        pass_fds=[number],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        errors="replace",
    )


def _ended(end: socket.socket, process: subprocess.Popen[str]) -> str:
    """End a process; the last line that it has written to standard error."""
    end.close()
    process.kill()
    _, said = process.communicate()
    return (said.splitlines() or [""])[-1]


def _shown(text: object) -> str:
    """A text that may be a stranger's, as a terminal can show it."""
    return printable(str(text)[:LONGEST_REASON])
