"""Messages between a detector's process and ours: a header in JSON, then arrays as they are.

Nothing is pickled, for the other side may be a stranger's. A message leaves by one call and arrives
in place, since an image is often scored in few milliseconds.
"""

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray | memoryview

LENGTH = struct.Struct("<I")
"""Of the header, before it."""

BUFFERED = 1 << 20
"""Bytes that may wait for the other side, so that most messages need not wait for it."""


def connected() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFERED)
    return ends


def send(end: socket.socket, header: Mapping[str, Any], arrays: Sequence[Array] = ()) -> None:
    """Send a header and the bytes of contiguous arrays, of which it has to tell the shapes."""
    text = json.dumps(header).encode()
    parts = [memoryview(LENGTH.pack(len(text)) + text)]
    parts += [memoryview(array).cast("B") for array in arrays]
    sent = end.sendmsg(parts)
    for part in parts:
        if sent < len(part):  # a signal came in between
            end.sendall(part[sent:])
        sent = max(0, sent - len(part))


def receive_header(end: socket.socket, largest: int) -> Any:
    """The next header.

    Raises
    ------
    EOFError
        If the other side has gone.
    ValueError
        If there is none of at most so many bytes.
    """
    (length,) = LENGTH.unpack(receive(end, np.empty(LENGTH.size, np.uint8)))
    if length > largest:
        raise ValueError(f"a header of {length} bytes")
    return json.loads(receive(end, np.empty(length, np.uint8)).tobytes())


def receive(end: socket.socket, array: np.ndarray) -> np.ndarray:
    """Fill a contiguous array with the bytes that come next, and return it.

    Raises
    ------
    EOFError
        If the other side has gone.
    """
    rest = memoryview(array).cast("B")
    while rest:
        if not (got := end.recv_into(rest, flags=socket.MSG_WAITALL)):
            raise EOFError
        rest = rest[got:]
    return array
