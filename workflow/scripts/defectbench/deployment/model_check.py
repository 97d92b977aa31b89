"""What an ONNX model from someone else may hold, checked on its bytes before any runtime sees it.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator
from math import prod

from defectbench.errors import InputError

OPSETS = range(18, 24)

# fmt: off
OPERATORS = frozenset({
    "Abs", "Add", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Clip",
    "Concat", "Conv", "Div", "Equal", "Erf", "Exp", "Gather", "GatherElements", "GatherND", "Gemm",
    "GlobalAveragePool", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
    "LayerNormalization", "Log", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Not", "Pad",
    "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape",
    "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "TopK",
    "Transpose", "Unsqueeze",
})
# fmt: on
"""None of them runs code, reads files, loops, or makes a large tensor from a small one."""

ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
"""Of ONNX's data types float, uint8, int8, int32, int64, bool, float16 and double."""

LARGEST_PAD = 64

MODEL = {1, 2, 3, 4, 5, 6, 7, 8, 14}  # no functions, no training
GRAPH = {1, 2, 5, 10, 11, 12, 13}  # no sparse or quantised tensors
NODE = {1, 2, 3, 4, 5, 6, 7}
ATTRIBUTE = {1, 2, 3, 4, 5, 7, 8, 20}  # no graphs
TENSOR = {1, 2, 8, 9}  # data inside the file and raw, so that its size is seen


def check_model(model: memoryview) -> dict[str, str]:
    """Refuse a model that is damaged, or that holds more than a detector needs.

    Parameters
    ----------
    model
        Bytes of the file.

    Returns
    -------
    dict of str to str
        The model's metadata.

    Raises
    ------
    InputError
        Saying what is wrong.
    """
    metadata: dict[str, str] = {}
    graphs = []
    for number, value in _allowed(model, MODEL, "model"):
        if number == 7:
            graphs.append(message(value))
        elif number == 8:
            _check_opset(message(value))
        elif number == 14:
            entry = {part: text(inner) for part, inner in fields(message(value))}
            metadata[entry.get(1, "")] = entry.get(2, "")
    if len(graphs) != 1:
        raise InputError(f"not a detector: it holds {len(graphs)} graphs")
    for number, value in _allowed(graphs[0], GRAPH, "graph"):
        if number == 1:
            _check_node(message(value))
        elif number == 5:
            _check_tensor(message(value))
    return metadata


def _allowed(part: memoryview, numbers: set[int], what: str):
    for number, value in fields(part):
        if number not in numbers:
            raise InputError(f"not a detector: its {what} holds what none needs (field {number})")
        yield number, value


def _check_opset(part: memoryview) -> None:
    entry = dict(fields(part))
    domain, version = text(entry.get(1, memoryview(b""))), entry.get(2, 0)
    if domain or version not in OPSETS:
        raise InputError(
            f"not a detector: operators {domain or 'ai.onnx'} {version}; only ONNX's own of "
            f"versions {OPSETS.start} to {OPSETS.stop - 1} are run"
        )


def _check_node(part: memoryview) -> None:
    for number, value in _allowed(part, NODE, "node"):
        if number == 4 and text(value) not in OPERATORS:
            raise InputError(f"not a detector: operator {text(value)!r} is not run")
        if number == 7 and text(value):
            raise InputError(f"not a detector: operators of {text(value)!r} are not run")
        if number == 5:
            _check_attribute(message(value))


def _check_attribute(part: memoryview) -> None:
    name, integers = "", []
    for number, value in _allowed(part, ATTRIBUTE, "attribute"):
        if number == 1:
            name = text(value)
        elif number == 5:
            _check_tensor(message(value))
        elif number == 8:
            integers += varints(value)
    if name == "pads" and any(pad > LARGEST_PAD for pad in integers):
        raise InputError(f"not a detector: padding by more than {LARGEST_PAD}")


def _check_tensor(part: memoryview) -> None:
    dims, kind, stored = [], 0, 0
    for number, value in _allowed(part, TENSOR, "tensor"):
        if number == 1:
            dims += varints(value)
        elif number == 2:
            kind = value
        elif number == 9:
            stored = len(message(value))
    if kind not in ITEM_BYTES:
        raise InputError(f"not a detector: a tensor of data type {kind}")
    if prod(dims) * ITEM_BYTES[kind] != stored:
        raise InputError(f"not a detector: a tensor of shape {dims} with {stored} bytes of data")


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
