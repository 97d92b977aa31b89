"""What a detector says of itself: the entries, and a check of what a stranger wrote there."""

import json
import re
from math import prod
from typing import Any

from PIL import Image

from defectbench.deployment.detector_file import KEY
from defectbench.errors import InputError
from defectbench.evaluation.photographs import ImageStatistics
from defectbench.evaluation.promises import AVERAGE, RULES
from defectbench.images.canvas import ASPECTS, SQUASH, canvas, part
from defectbench.images.resizing import preprocess

FORMAT = 5
FORMATS = (3, 4, FORMAT)
"""That are read: the first is of squares, and the first two have a digest of the graph alone, which
nobody reads."""

LARGEST_CANVAS = 1 << 26
"""Pixels. The probe image is as large, and whoever reads the file decodes it."""

NAMES = ("dataset", "category", "method", "backbone")
"""Entries that say which detector it is."""

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no line of a terminal or a table can hold: control characters, halves of characters."""

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
"""Entries that every detector has, and what their values hold at least; texts can be printed.

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


def parse_metadata(text: str | None) -> dict[str, Any]:
    """What a detector's file says of itself, older formats in the shape of today's.

    Raises
    ------
    InputError
        If an entry is missing, or holds what the code after this could not work with.
    """
    if text is None:
        raise InputError(f"not a detector: the model has no metadata entry {KEY!r}")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a detector: its metadata are not JSON ({error})") from error
    if not isinstance(metadata, dict) or metadata.get("format") not in FORMATS:
        known = " or ".join(map(str, FORMATS))
        raise InputError(f"not a detector of format {known}: export it again with this version")
    metadata.pop("graph_sha256", None)
    for name, shape in SHAPE.items():
        if name not in metadata or not _fits(metadata[name], shape):
            raise InputError(f"not a detector: its metadata entry {name!r} is missing or wrong")
    for name, shape in OPTIONAL.items():
        if name in metadata and not _fits(metadata[name], shape):
            raise InputError(f"not a detector: its metadata entry {name!r} is wrong")
    _check_ranges(metadata)
    return metadata


def _fits(value: Any, shape: Any) -> bool:
    """Whether a value has all that a shape asks for; of a list, each element."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], inner) for key, inner in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(v, inner) for inner in shape for v in value)
    if shape == TEXT:
        return isinstance(value, str) and not UNPRINTABLE.search(value)
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
        and (scale is None or (_fits(scale, MAP_SCALE) and len(scale) == len(MAP_SCALE)))
        and preprocessing.get("interpolation") in ("bilinear", "lanczos")
        and preprocessing.get("aspect", SQUASH) in ASPECTS
        and len(metadata["held_out_scores"]) > 0
        and all(
            len(figures[name]) == figures["images"]
            for figures in statistics
            for name in ImageStatistics._fields
        )
        and all(1 <= figures["independent"] <= figures["images"] for figures in statistics)
        and all(len(row["rate_range"]) == 2 for row in (threshold, *metadata["thresholds"]))
        and threshold.get("rule", AVERAGE) in RULES
    )
    if not sound:
        raise InputError("not a detector: its metadata hold a value out of range")


def _is_canvas(preprocessing: dict[str, Any]) -> bool:
    """Whether images can be brought to what a preprocessing says, tried on a small one."""
    try:
        before_crop = preprocessing["size"], preprocessing["size"]
        resized = before_crop if "crop" in preprocessing else canvas(preprocessing)
        if prod(resized) > LARGEST_CANVAS:
            return False
        tried = preprocess(Image.new("L", (2, 1)), preprocessing)
        return tried.size > 0 and tried.shape == (*part(preprocessing, 1, 2), 3)
    except Exception:  # whatever a stranger's numbers and words lead to
        return False
