"""A detector's threshold set anew, by confirmed good parts of the line that train nothing."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.atomic import atomic_path
from defectbench.deployment.detector import AHEAD, Detector, decoded_image
from defectbench.deployment.detector_file import FORMAT, read_detector_file, recalibrated
from defectbench.deployment.drift import (
    ImageStatistics,
    image_statistics,
    same_world,
    training_ranges,
)
from defectbench.deployment.expectations import expectation, threshold_table
from defectbench.deployment.folder import LARGEST_PANEL, images_below, map_picture
from defectbench.deployment.proof import prove
from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import map_scale
from defectbench.evaluation.promises import Asked, Promise, promise
from defectbench.images.decoding import in_order, load_rgb
from defectbench.progress import Progress

LARGEST = 6
"""Parts with the largest scores, whose pictures are shown."""


class GoodParts(NamedTuple):
    """What a detector says of parts that somebody has confirmed to be good.

    Attributes
    ----------
    files
        In the order of their names; of images of equal content, the first.
    copies
        Number of images that are left out for that.
    scores
        float64, (n_images,).
    maps
        float32, (n_images, height, width), on disk; None if the detector does not localize.
    statistics
        Of the images.
    digest
        SHA-256 over their contents at network size.
    """

    files: list[Path]
    copies: int
    scores: np.ndarray
    maps: np.ndarray | None
    statistics: list[ImageStatistics]
    digest: str


def score_good_parts(detector: Detector, folder: Path, threads: int) -> GoodParts:
    """Score all images of a folder and its subfolders, equal ones once.

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    files = images_below(folder) if folder.is_dir() else []
    if not files:
        found = "no images in this folder" if folder.is_dir() else "no such folder of images"
        raise InputError(f"{folder}: {found}")
    progress = Progress(len(files), str(folder))
    decode = partial(decoded_image, settings=detector.metadata)
    seen: dict[str, tuple[Path, float, ImageStatistics]] = {}
    maps: np.ndarray | None = None
    for image in in_order(decode, files, threads, AHEAD * threads):
        progress.advance(1)
        digest = hashlib.sha256(image.pixels).hexdigest()
        if digest in seen:
            continue
        scored = detector.score(image.pixels[None])
        if scored.maps is not None:
            if maps is None:
                maps = _on_disk((len(files), *scored.maps.shape[1:]))
            maps[len(seen)] = scored.maps[0]
        statistics = image_statistics(image.pixels, image.size)
        seen[digest] = image.path, float(scored.scores[0]), statistics
    paths, scores, statistics = (list(each) for each in zip(*seen.values(), strict=True))
    return GoodParts(
        paths,
        len(files) - len(seen),
        np.array(scores),
        None if maps is None else maps[: len(seen)],
        statistics,
        hashlib.sha256("\n".join(sorted(seen)).encode()).hexdigest(),
    )


def _on_disk(shape: tuple[int, ...]) -> np.ndarray:
    """An array in a temporary file without a name: no kill leaves it behind."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def set_threshold(parts: GoodParts, rate: float, rule: str) -> Promise:
    """The threshold that these parts support for a rate.

    Raises
    ------
    InputError
        If they are too few, saying what they do support.
    """
    promised = promise(parts.scores, [""] * len(parts.scores), Asked(rate, rule))
    if promised["estimate"]:
        needed, count = promised["next"], promised["images"]
        more = f"{needed - count} more good parts" if needed else "no number of parts would"
        raise InputError(
            f"{count} good parts do not support a false-positive rate of {rate:.3g} by the rule "
            f"{rule}: {more}; or ask for more than {1 / (count + 1):.3g}, which is what the "
            "average is just above the largest of their scores"
        )
    return promised


def largest(scores: np.ndarray) -> np.ndarray:
    """Rows of the largest scores, the largest first."""
    return np.argsort(-scores, kind="stable")[:LARGEST]


def draw_largest(detector: Detector, parts: GoodParts, folder: Path) -> list[Path]:
    """Pictures of the parts with the largest scores, with their maps if there are some."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for place, row in enumerate(largest(parts.scores), start=1):
        image = decoded_image(parts.files[row], detector.metadata)
        if parts.maps is None:
            picture = load_rgb(image.path, detector.metadata["bits"])
            picture.thumbnail((LARGEST_PANEL, LARGEST_PANEL))
        else:
            picture = map_picture(detector, image, parts.maps[row], LARGEST_PANEL)
        pictures.append(folder / f"{place}_{image.path.stem}.jpg")
        picture.save(pictures[-1], "JPEG", quality=85)
    return pictures


def against_training(detector: Detector, parts: GoodParts) -> dict[str, Any]:
    """How the parts compare with those behind the detector's threshold; see `drift.same_world`."""
    before = detector.metadata["threshold"]
    reach = int((parts.scores >= before["value"]).sum())
    scores = parts.scores.tolist()
    return same_world(scores, reach, before, parts.statistics, detector.metadata)


def calibrated_metadata(
    detector: Detector, parts: GoodParts, promised: Promise, folder: Path
) -> dict[str, Any]:
    """What the detector says of itself with its new threshold; the old one stays in ``history``."""
    old, alone = detector.metadata, np.full(len(parts.scores), "")
    asked = Asked(promised["asked"], promised["rule"])
    kept = {name: old[name] for name in ("threshold", "calibration") if name in old}
    return old | {
        "format": FORMAT,
        "threshold": expectation(promised),
        "thresholds": threshold_table(parts.scores, alone, promised),
        "held_out_scores": sorted(parts.scores.tolist()),
        "map_scale": None if parts.maps is None else map_scale(parts.maps, alone, asked)._asdict(),
        "calibration": {
            "folder": folder.name,
            "images": len(parts.scores),
            "copies": parts.copies,
            "images_sha256": parts.digest,
            "ranges": training_ranges(parts.statistics),
        },
        "history": [*old.get("history", []), kept | {"sha256": detector.sha256}],
    }


def write_calibrated(
    source: Path, output: Path, metadata: Mapping[str, Any], parts: GoodParts, threads: int
) -> dict[str, Any]:
    """Write a detector with a new threshold, once it has scored the parts as the old one did.

    Returns
    -------
    dict
        From `proof.prove`; it stands in the metadata of the calibration, too.
    """
    content, _, _ = read_detector_file(source)
    calibration = metadata["calibration"]
    with atomic_path(output) as part:
        part.write_bytes(recalibrated(content, dict(metadata)))
        proof = prove(Detector(part, threads), parts.files, parts.scores, parts.maps, threads)
        proved = metadata | {"calibration": calibration | {"proof": proof}}
        part.write_bytes(recalibrated(content, dict(proved)))
        Detector(part, threads)
    return proof


def shown(files: Sequence[Path], folder: Path) -> list[str]:
    """Names of files below a folder."""
    return [file.relative_to(folder).as_posix() for file in files]
