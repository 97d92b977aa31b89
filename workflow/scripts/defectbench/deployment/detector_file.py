"""The file of a detector: an ONNX model, what it needs to be used, and a seal over both."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectbench.deployment.model_check import check_model, fields, message, text
from defectbench.deployment.photographs import ImageStatistics
from defectbench.errors import InputError
from defectbench.evaluation.promises import AVERAGE, RULES
from defectbench.images.canvas import ASPECTS, KEEP, ORIGINAL, SQUASH, multiple_of

FORMAT = 4
FORMATS = (1, 2, 3, FORMAT)
"""That are read: the first has no more of a threshold than its value and the rate asked for, the
first two no more of an image's figures than their range, and all before this one are of squares."""

KEY = "defectbench"
"""Of the model's metadata entry that holds ours, as JSON."""

SEAL_KEY = b"sha256"
DIGEST_BYTES = 64
_ENTRY = 2 + len(SEAL_KEY) + 2 + DIGEST_BYTES
SEAL_HEAD = bytes([14 << 3 | 2, _ENTRY, 1 << 3 | 2, len(SEAL_KEY)]) + SEAL_KEY
SEAL_HEAD += bytes([2 << 3 | 2, DIGEST_BYTES])
SEAL_BYTES = len(SEAL_HEAD) + DIGEST_BYTES
"""The last metadata entry of the model, in Protocol Buffers' wire format: SHA-256 of all before."""

LARGEST_BYTES = 2**31 - 1
LARGEST_SIDE = 1 << 15

NAMES = ("dataset", "category", "method", "backbone")
"""Entries that say which detector it is."""

NUMBER, TEXT, COUNT = "number", "text", "whole number"
EXPECTATION = {"value": NUMBER, "false_positive_rate": NUMBER, "rate_range": [NUMBER]}
STATISTICS = {"images": COUNT, "independent": NUMBER}
STATISTICS |= {name: [NUMBER] for name in ImageStatistics._fields}
SHAPE: dict[str, Any] = {
    "format": COUNT,
    **dict.fromkeys(NAMES, TEXT),
    "preprocessing": {},
    "scorer": TEXT,
    "layers": [],
    "graph_sha256": TEXT,
    "units": {},
    "threshold": EXPECTATION,
    "thresholds": [EXPECTATION],
    "held_out_scores": [NUMBER],
    "training_images": STATISTICS,
    "probe": {"png": TEXT, "score": NUMBER},
    "tolerance": {"absolute": NUMBER, "relative": NUMBER},
    "proof": {},
    "provenance": {},
    "licences": {},
}
"""Entries that every detector has, and what their values hold at least.

Beside them `bits` is None or 9 to 16, and `map_scale` None or as `MAP_SCALE`."""

OPTIONAL: dict[str, Any] = {
    "calibration": {
        "folder": TEXT,
        "images": COUNT,
        "parts": COUNT,
        "images_sha256": TEXT,
        "statistics": STATISTICS,
    },
    "history": [{"threshold": EXPECTATION, "sha256": TEXT}],
}
"""Entries of a calibrated detector: the good parts that its threshold comes from; and if it was
calibrated after its export, what it was before each time, the first one first."""

MAP_SCALE = {"typical": NUMBER, "threshold": NUMBER}

GRAPH, METADATA, INITIALIZER, NAME, DATA_TYPE, RAW_DATA = 7, 14, 5, 8, 2, 9
"""Numbers of fields: of a model, of its graph, and of a tensor."""

THRESHOLD, DOUBLE = "threshold", 11
"""Name of the graph's only number that a calibration changes, and ONNX's number of its type."""


def sealed(model: bytes) -> bytes:
    """A serialised model with the seal that `read_detector_file` demands."""
    return model + SEAL_HEAD + hashlib.sha256(model).hexdigest().encode()


def recalibrated(content: bytes, metadata: Mapping[str, Any]) -> bytes:
    """A detector's file at another threshold, with other metadata; all else is as it was.

    It is edited where it stands: nothing that needs more than NumPy could write a model.

    Parameters
    ----------
    content
        From `read_detector_file`.
    metadata
        With the new ``threshold``; ``graph_sha256`` is made anew.

    Raises
    ------
    InputError
        If the threshold or the metadata are not where an export puts them.
    """
    model = bytearray(content[:-SEAL_BYTES])
    parts = list(fields(memoryview(model)))
    (graph,) = (message(value) for number, value in parts if number == GRAPH)
    number, entry = parts[-1]
    last = _field(number, bytes(message(entry)))
    if dict(fields(message(entry))).get(1) != KEY.encode() or not model.endswith(last):
        raise InputError(f"its last metadata entry is not {KEY!r}: export it again")
    _threshold_bytes(graph)[:] = struct.pack("<d", metadata["threshold"]["value"])
    metadata = {**metadata, "graph_sha256": hashlib.sha256(graph).hexdigest()}
    described = json.dumps(metadata, sort_keys=True, allow_nan=False).encode()
    own = _field(METADATA, _field(1, KEY.encode()) + _field(2, described))
    return sealed(bytes(memoryview(model)[: -len(last)]) + own)


def _threshold_bytes(graph: memoryview) -> memoryview:
    """Where a graph holds its threshold."""
    tensors = [
        dict(fields(message(value))) for number, value in fields(graph) if number == INITIALIZER
    ]
    found = [
        message(tensor[RAW_DATA])
        for tensor in tensors
        if text(tensor.get(NAME, memoryview(b""))) == THRESHOLD
        and tensor.get(DATA_TYPE) == DOUBLE
        and len(message(tensor.get(RAW_DATA, memoryview(b"")))) == 8
    ]
    if len(found) != 1:
        raise InputError(f"its graph holds no number {THRESHOLD!r}: export it again")
    return found[0]


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes in Protocol Buffers' wire format."""
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def read_detector_file(path: Path) -> tuple[bytes, dict[str, Any], str]:
    """Read a detector and check all that can be checked without running it.

    Nothing in the file is executed or unpickled, and no other file is read.

    Returns
    -------
    model : bytes
        The ONNX model.
    metadata : dict
        See `SHAPE`.
    sha256 : str
        Of the file but for its seal.

    Raises
    ------
    InputError
        One line, if the file is not a detector or not as it was written.
    OSError
        If the file cannot be read.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise InputError(f"{size} bytes; a detector has less than {LARGEST_BYTES}")
    content = path.read_bytes()
    digest = _check_seal(content)
    return content, _parse_metadata(check_model(memoryview(content)).get(KEY)), digest


def _check_seal(content: bytes) -> str:
    """SHA-256 of the content before the seal."""
    seal = content[-SEAL_BYTES:]
    if not seal.startswith(SEAL_HEAD):
        raise InputError("not a detector, or cut short: its last bytes are no seal")
    digest = hashlib.sha256(memoryview(content)[:-SEAL_BYTES]).hexdigest()
    if seal[len(SEAL_HEAD) :] != digest.encode():
        raise InputError("damaged: its content does not fit its SHA-256; copy or export it again")
    return digest


def _parse_metadata(text: str | None) -> dict[str, Any]:
    if text is None:
        raise InputError(f"not a detector: the model has no metadata entry {KEY!r}")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a detector: its metadata are not JSON ({error})") from error
    if not isinstance(metadata, dict) or metadata.get("format") not in FORMATS:
        known = " or ".join(map(str, FORMATS))
        raise InputError(f"not a detector of format {known}, which is all this version reads")
    if metadata["format"] == 1:
        _complete_thresholds(metadata)
    if metadata["format"] < 3:
        _complete_statistics(metadata)
    for name, shape in SHAPE.items():
        if name not in metadata or not _fits(metadata[name], shape):
            raise InputError(f"not a detector: its metadata entry {name!r} is missing or wrong")
    for name, shape in OPTIONAL.items():
        if name in metadata and not _fits(metadata[name], shape):
            raise InputError(f"not a detector: its metadata entry {name!r} is wrong")
    _check_ranges(metadata)
    return metadata


def _complete_thresholds(metadata: dict[str, Any]) -> None:
    """Give thresholds of format 1, which know the rate asked for alone, the shape of today's."""
    rows, threshold = metadata.get("thresholds"), metadata.get("threshold")
    for row in [threshold, *(rows if isinstance(rows, list) else [])]:
        if isinstance(row, dict) and "false_positive_rate" in row:
            row["rate_range"] = [row["false_positive_rate"]] * 2
            row.setdefault("value", row.get("threshold"))


def _complete_statistics(metadata: dict[str, Any]) -> None:
    """Give figures of formats 1 and 2, which are ranges, the shape of today's."""
    calibration = metadata.get("calibration")
    if isinstance(calibration, dict):
        calibration["statistics"] = calibration.pop("ranges", None)
    for owner, name in ((metadata, "training_images"), (calibration, "statistics")):
        ranges = owner.get(name) if isinstance(owner, dict) else None
        if isinstance(ranges, dict) and _fits(ranges.get("images"), [COUNT]) and ranges["images"]:
            count = ranges["images"][0]
            ranges |= {"images": count, "independent": count * _share_independent(metadata)}


def _share_independent(metadata: dict[str, Any]) -> float:
    """Of a detector of an older format; groups are taken to be of one size, format 1 has none."""
    counts = {"images": COUNT, "groups": COUNT}
    threshold = metadata.get("threshold")
    if not _fits(threshold, counts) or threshold["images"] < 1:
        return 1.0
    return threshold["groups"] / threshold["images"]


def _fits(value: Any, shape: Any) -> bool:
    """Whether a value has all that a shape asks for; of a list, each element."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], inner) for key, inner in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(v, inner) for inner in shape for v in value)
    if shape == TEXT:
        return isinstance(value, str)
    kind = int if shape == COUNT else int | float
    return isinstance(value, kind) and not isinstance(value, bool) and abs(value) < 1e300


def _check_ranges(metadata: dict[str, Any]) -> None:
    """Refuse values of the right kind with which the code after this could not work."""
    preprocessing, threshold = metadata["preprocessing"], metadata["threshold"]
    bits, scale = (metadata.get(name, "missing") for name in ("bits", "map_scale"))
    statistics = [metadata["training_images"]]
    statistics += [metadata["calibration"]["statistics"]] if "calibration" in metadata else []
    sound = (
        _is_canvas(preprocessing)
        and (bits is None or (_fits(bits, COUNT) and 9 <= bits <= 16))
        and (scale is None or _fits(scale, MAP_SCALE))
        and preprocessing.get("interpolation") in ("bilinear", "lanczos")
        and preprocessing.get("aspect", SQUASH) in ASPECTS
        and len(metadata["held_out_scores"]) > 0
        and all(figures[name] for figures in statistics for name in ImageStatistics._fields)
        and all(1 <= figures["independent"] <= figures["images"] for figures in statistics)
        and all(len(row["rate_range"]) == 2 for row in (threshold, *metadata["thresholds"]))
        and threshold.get("rule", AVERAGE) in RULES
    )
    if not sound:
        raise InputError("not a detector: its metadata hold a value out of range")


def _is_canvas(preprocessing: dict[str, Any]) -> bool:
    """Whether a preprocessing says what the network sees of an image."""
    size, multiple = preprocessing.get("size"), multiple_of(preprocessing)
    numbers = [size] if size != ORIGINAL else []
    numbers = size if isinstance(size, list) and len(size) == 2 else numbers
    numbers = [*numbers, preprocessing.get("crop", 1), multiple]
    if size == ORIGINAL or preprocessing.get("aspect") == KEEP:
        stated = preprocessing.get("canvas")
        if not (isinstance(stated, list) and len(stated) == 2):
            return False
        numbers += stated
    return all(_fits(number, COUNT) and 1 <= number <= LARGEST_SIDE for number in numbers)
