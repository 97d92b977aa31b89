"""The file of a detector: an ONNX model, what it needs to be used, and a seal over both."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.deployment.drift import ImageStatistics
from defectbench.deployment.model_check import check_model
from defectbench.errors import InputError
from defectbench.images.resizing import ASPECTS, SQUASH

FORMAT = 1
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
LARGEST_SIDE = 4096

TYPES: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "dataset": str,
    "category": str,
    "method": str,
    "backbone": str,
    "preprocessing": dict,
    "side": int,
    "scorer": str,
    "layers": list,
    "graph_sha256": str,
    "units": dict,
    "threshold": dict,
    "thresholds": list,
    "held_out_scores": list,
    "training_images": dict,
    "probe": dict,
    "tolerance": dict,
    "proof": dict,
    "bits": (int, type(None)),
    "map_scale": (dict, type(None)),
    "provenance": dict,
    "licences": dict,
}
"""Entries that every detector has."""


class DetectorFile(NamedTuple):
    """A detector's file, checked.

    Attributes
    ----------
    model
        The ONNX model.
    metadata
        See `TYPES`.
    sha256
        Of the file but for its seal.
    """

    model: bytes
    metadata: dict[str, Any]
    sha256: str


def sealed(model: bytes) -> bytes:
    """A serialised model with the seal that `read_detector_file` demands."""
    return model + SEAL_HEAD + hashlib.sha256(model).hexdigest().encode()


def read_detector_file(path: str | Path) -> DetectorFile:
    """Read a detector and check all that can be checked without running it.

    Nothing in the file is executed or unpickled, and no other file is read.

    Raises
    ------
    InputError
        One line that names the file, if it is not a detector or not as it was written.
    """
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_BYTES:
            raise InputError(f"{size} bytes; a detector has less than {LARGEST_BYTES}")
        content = Path(path).read_bytes()
        digest = _check_seal(content)
        metadata = _parse_metadata(check_model(memoryview(content)).get(KEY))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return DetectorFile(content, metadata, digest)


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
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise InputError(f"not a detector of format {FORMAT}, which is all this version reads")
    for name, kind in TYPES.items():
        if name not in metadata or not isinstance(metadata[name], kind):
            raise InputError(f"not a detector: its metadata entry {name!r} is missing or wrong")
    _check_values(metadata)
    return metadata


def _check_values(metadata: dict[str, Any]) -> None:
    """Refuse values that the code after this relies on."""
    preprocessing, side = metadata["preprocessing"], metadata["side"]
    sizes = [preprocessing.get("size"), preprocessing.get("crop", side), side]
    threshold, bits = metadata["threshold"], metadata["bits"]
    scale = metadata["map_scale"] or {"typical": 0, "threshold": 0}
    lists = [metadata["held_out_scores"], *metadata["training_images"].values()]
    sound = (
        all(isinstance(size, int) and 1 <= size <= LARGEST_SIDE for size in sizes)
        and (bits is None or 9 <= bits <= 16)
        and all(_is_number(scale.get(key)) for key in ("typical", "threshold"))
        and preprocessing.get("interpolation") in ("bilinear", "lanczos")
        and preprocessing.get("aspect", SQUASH) in ASPECTS
        and all(_is_number(threshold.get(key)) for key in ("value", "false_positive_rate"))
        and all(isinstance(row, dict) for row in metadata["thresholds"])
        and all(
            _is_number(row.get(key))
            for row in metadata["thresholds"]
            for key in ("threshold", "false_positive_rate")
        )
        and all(isinstance(values, list) and values for values in lists)
        and all(len(values) == 2 for values in lists[1:])
        and all(_is_number(value) for values in lists for value in values)
        and set(metadata["training_images"]) == {"images", *ImageStatistics._fields}
        and _is_number(metadata["probe"].get("score"))
        and isinstance(metadata["probe"].get("png"), str)
        and all(_is_number(metadata["tolerance"].get(key)) for key in ("absolute", "relative"))
    )
    if not sound:
        raise InputError("not a detector: its metadata hold a value out of range")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
