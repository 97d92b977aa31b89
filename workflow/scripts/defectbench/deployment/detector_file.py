"""The bytes of a detector's file: an ONNX model, what it says of itself, and a seal over both."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectbench.errors import InputError
from defectbench.special_files import is_special

KEY = "defectbench"
"""Of the model's metadata entry that holds ours, as JSON."""

SEAL_KEY = "sha256"
DIGEST_BYTES = 64

LARGEST_BYTES = 2**31 - 1
"""Of a file: Protocol Buffers end there."""

LARGEST_METADATA = 1 << 26
"""Characters; most of them are the probe image's."""

THRESHOLD = b"\x10\x0bB\tthresholdJ\x08"
"""What precedes the eight bytes of the graph's threshold: a double (11) of that name, raw."""


def sealed(model: bytes, metadata: Mapping[str, Any]) -> bytes:
    """A detector's file.

    Parameters
    ----------
    model
        A serialised ONNX model without metadata.
    metadata
        See `metadata.SHAPE`.
    """
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    return with_seal(model + _entry(KEY, text))


def with_seal(content: bytes) -> bytes:
    """A model with its last metadata entry: the SHA-256 of all that stands before it."""
    return content + _entry(SEAL_KEY, hashlib.sha256(content).hexdigest())


def read_sealed(file: Path) -> tuple[bytes, str]:
    """Content of a detector's file as it was written, and the SHA-256 that its seal states.

    Raises
    ------
    InputError
        If the file cannot be read, is too large, has no seal, or is damaged.
    """
    try:
        if is_special(file):
            raise InputError("is no file")
        with open(file, "rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error
    if len(content) > LARGEST_BYTES:
        raise InputError(f"more than {LARGEST_BYTES} bytes, which no detector has")
    body = memoryview(content)[:-SEAL_BYTES]
    digest = hashlib.sha256(body).hexdigest()
    seal, expected = content[-SEAL_BYTES:], _entry(SEAL_KEY, digest)
    if seal[:-DIGEST_BYTES] != expected[:-DIGEST_BYTES]:
        raise InputError("not a detector, or cut short: its last bytes are no seal")
    if seal != expected:
        raise InputError("damaged: its content does not fit its SHA-256; copy or export it again")
    return content, digest


def recalibrated(content: bytes, text: str, metadata: Mapping[str, Any]) -> bytes:
    """A detector's file at another threshold, with other metadata; all else is as it was.

    It is edited where it stands: nothing that needs more than NumPy could write a model.

    Parameters
    ----------
    content
        From `read_sealed`.
    text
        Its metadata, as they stand there.
    metadata
        With the new ``threshold``.

    Raises
    ------
    InputError
        If the threshold or the metadata are not where an export puts them.
    """
    body, entry = content[:-SEAL_BYTES], _entry(KEY, text)
    before, after = (
        THRESHOLD + struct.pack("<d", each["threshold"]["value"])
        for each in (json.loads(text), metadata)
    )
    if not body.endswith(entry) or body.count(before) != 1:
        raise InputError("its threshold or its metadata stand elsewhere: export it again")
    return sealed(body.removesuffix(entry).replace(before, after), metadata)


def _entry(key: str, value: str) -> bytes:
    """A metadata entry of a model (field 14 of ONNX's ModelProto: key 1, value 2)."""
    return _field(14, _field(1, key.encode()) + _field(2, value.encode()))


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes in Protocol Buffers' wire format."""
    length, rest = bytearray(), len(value)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([number << 3 | 2, *length, rest]) + value


SEAL_BYTES = len(_entry(SEAL_KEY, "0" * DIGEST_BYTES))
