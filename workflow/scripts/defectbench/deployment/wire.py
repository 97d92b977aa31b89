"""Protocol Buffers' wire format, read without copying: as much of it as an ONNX file uses.

The format is described at https://protobuf.dev/programming-guides/encoding/. Reading it here
allows a model to be checked before anything allocates what it asks for.
"""

from collections.abc import Iterator

from defectbench.errors import InputError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int | memoryview]


def fields(message: memoryview) -> Iterator[Field]:
    """Fields of a message: number, and value as an int or as the bytes that hold it.

    Raises
    ------
    InputError
        If the bytes are no message.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == LENGTH:
            length, position = _varint(message, position)
        elif kind in FIXED_BYTES:
            length = FIXED_BYTES[kind]
        else:
            raise InputError("not an ONNX file: a field of no known kind")
        if number == 0 or length > len(message) - position:
            raise InputError("not an ONNX file: a field is longer than what holds it")
        yield number, message[position : position + length]
        position += length


def varints(value: int | memoryview) -> list[int]:
    """Values of a repeated integer field, of which one occurrence holds one or, packed, many."""
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        found.append(number)
    return found


def message(value: int | memoryview) -> memoryview:
    """Value of a field that must hold bytes.

    Raises
    ------
    InputError
        If it holds a number.
    """
    if isinstance(value, int):
        raise InputError("not an ONNX file: a number where a message should be")
    return value


def text(value: int | memoryview) -> str:
    """Value of a field that must hold text.

    Raises
    ------
    InputError
        If it does not.
    """
    try:
        return bytes(message(value)).decode()
    except UnicodeDecodeError as error:
        raise InputError("not an ONNX file: a text is not UTF-8") from error


def _varint(buffer: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(buffer):
            raise InputError("not an ONNX file: it ends within a number")
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise InputError("not an ONNX file: a number is too long")
