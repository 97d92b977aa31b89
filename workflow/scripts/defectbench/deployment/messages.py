"""Messages between a detector and the process of its graph: a header in JSON, then arrays.

Neither side unpickles what the other one says, for one of them has run a stranger's graph.
"""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Bytes = bytes | bytearray | memoryview | np.ndarray

LENGTH = struct.Struct("<Q")
LARGEST_HEADER = 1 << 26
"""Bytes; a detector's metadata are part of one, with the probe image."""


class Channel:
    """One end of a pair of sockets.

    Parameters
    ----------
    connection
        The socket; with a timeout, `seconds` of it are waited for the other side.

    Attributes
    ----------
    patience
        How many timeouts are waited for a message. They are counted and no clock is read, for a
        process that is stopped and goes on must not find that its time has passed.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.patience = 1

    def close(self) -> None:
        """End the conversation; the other side reads its end."""
        self._connection.close()

    def send(self, header: dict[str, Any], *arrays: Bytes) -> None:
        """Say something.

        Raises
        ------
        OSError
            If the other side is not there, or does not listen in time (TimeoutError).
        """
        text = json.dumps(header).encode()
        for part in (LENGTH.pack(len(text)) + text, *arrays):
            self._all(self._connection.send, part)

    def header(self) -> dict[str, Any]:
        """The header of the next message.

        Raises
        ------
        EOFError, OSError
            If the other side is not there, or says nothing in time (TimeoutError).
        ValueError
            If what it says is no message.
        """
        length = bytearray(LENGTH.size)
        self.receive(length)
        (size,) = LENGTH.unpack(length)
        if size > LARGEST_HEADER:
            raise ValueError(f"a message of {size} bytes")
        text = bytearray(size)
        self.receive(text)
        header = json.loads(text)
        if not isinstance(header, dict):
            raise ValueError("a message without entries")
        return header

    def receive(self, into: Bytes) -> None:
        """Fill an array with what follows a header; the errors are those of `header`."""
        self._all(self._connection.recv_into, into)

    def _all(self, move: Callable[[memoryview], int], buffer: Bytes) -> None:
        """Send or receive a whole buffer."""
        left, waited = memoryview(buffer).cast("B"), 0
        while left:
            try:
                moved = move(left)
            except TimeoutError:
                waited += 1
                if waited >= self.patience:
                    raise
                continue
            if not moved:
                raise EOFError("the other side is not there")
            left = left[moved:]
