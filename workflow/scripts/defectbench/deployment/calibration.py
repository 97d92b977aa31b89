"""A detector's threshold set anew, by confirmed good parts of the line that train nothing."""

import hashlib
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.atomic import atomic_path
from defectbench.deployment.detector import Detector, Scored
from defectbench.deployment.detector_file import read_sealed, recalibrated
from defectbench.deployment.expectations import calibration_entry, threshold_entries
from defectbench.deployment.metadata import FORMAT
from defectbench.deployment.overlays import LARGEST_PANEL, picture
from defectbench.deployment.proof import prove
from defectbench.deployment.reading import read_files
from defectbench.errors import InputError
from defectbench.evaluation.drift import same_world
from defectbench.evaluation.photographs import ImageStatistics, image_statistics, photographed
from defectbench.evaluation.promises import AVERAGE, TOLERANCE, Asked, Promise, promise
from defectbench.evaluation.rates import LEVEL, beta_quantile, independent_size
from defectbench.images.layout import KINDS, images_below
from defectbench.images.network_image import whole_image
from defectbench.names import printable
from defectbench.progress import Progress

LARGEST = 6
"""Parts with the largest scores, whose pictures are shown."""

FAR = 3
"""Times as far above the median as the next lower score: a score that far off is suspected.

Simulated: of sets of 40 exchangeable good parts whose scores have an exponential tail, 1.6 % hold
such a score; of 20 parts 6.6 %, of 100 parts 0.2 %; of 40 with a normal tail 0.03 %."""

LEAST_RATE = 1e-6
"""Of a million good parts, one. How many a rate near 0 would need, no number can say."""

NAMED = 5
"""Unreadable images that one line names; of more it says how many."""


class GoodParts(NamedTuple):
    """What a detector says of parts that somebody has confirmed to be good.

    Attributes
    ----------
    files
        In the order of their names; of images of equal content, the first.
    copies
        Number of images that are left out for that.
    groups
        Of each image, the part that it shows; '' is a part of its own.
    scores
        float64, (n_images,).
    maps
        float32, (n_images, height, width); None if the detector does not localize.
    statistics
        Of the images.
    digests
        SHA-256 of the pixels of each at network size.
    """

    files: list[Path]
    copies: int
    groups: list[str]
    scores: np.ndarray
    maps: np.ndarray | None
    statistics: list[ImageStatistics]
    digests: list[str]


def score_good_parts(detector: Detector, folder: Path, in_folders: bool, threads: int) -> GoodParts:
    """Score all images of a folder and its subfolders, equal ones once.

    Parameters
    ----------
    detector
        Loaded.
    folder
        Of the images.
    in_folders
        Whether the images of a subfolder show one part.
    threads
        That decode images.

    Raises
    ------
    InputError
        If there are none, or some cannot be read.
    """
    files = images_below(folder) if folder.is_dir() else []
    if not files:
        found = (
            f"no {KINDS} files in this folder" if folder.is_dir() else "no such folder of images"
        )
        raise InputError(f"{folder}: {found}")
    progress = Progress(len(files), str(folder))
    unreadable: dict[str, InputError] = {}
    seen: dict[str, tuple[Path, Scored, ImageStatistics]] = {}
    for read in read_files(files, detector, threads):
        progress.advance(1)
        if isinstance(read.found, InputError):
            unreadable[read.path.relative_to(folder).as_posix()] = read.found
            continue
        image, scored = read.found
        statistics = image_statistics(image.pixels, image.size)
        seen.setdefault(hashlib.sha256(image.pixels).hexdigest(), (read.path, scored, statistics))
    if unreadable:
        raise InputError(f"{folder}: {_complaint(unreadable)}")
    paths, found, statistics = (list(each) for each in zip(*seen.values(), strict=True))
    return GoodParts(
        paths,
        len(files) - len(seen),
        [_part(path, folder) if in_folders else "" for path in paths],
        np.concatenate([one.scores for one in found]),
        None if found[0].maps is None else np.concatenate([one.maps for one in found]),
        statistics,
        list(seen),
    )


def _complaint(unreadable: Mapping[str, InputError]) -> str:
    """Names of unreadable images, and why the first of them is one."""
    names, why = [*map(printable, unreadable)], next(iter(unreadable.values()))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"cannot be read: {', '.join(names[:NAMED])}{more}; remove or replace them ({why})"


def _part(file: Path, folder: Path) -> str:
    """Subfolder that an image lies in; '' for one that lies in the folder itself."""
    part, *below = file.relative_to(folder).parts
    return part if below else ""


def set_threshold(parts: GoodParts, asked: Asked) -> Promise:
    """The threshold that these parts support for a rate.

    Raises
    ------
    InputError
        If they are too few, saying what they do support.
    """
    if not LEAST_RATE <= asked.rate < 1:
        raise InputError(
            f"a false-positive rate of {asked.rate:g}: give one between 0 and 1, at least "
            f"{LEAST_RATE:g}"
        )
    promised = promise(parts.scores, parts.groups, asked)
    if promised["estimate"]:
        count = promised["groups"]
        # rounded up, so that the printed rate is one that they support
        by_average, by_tolerance = (
            ceil(1e4 * rate) / 1e4 for rate in (1 / (count + 1), beta_quantile(1, count, LEVEL))
        )
        raise InputError(
            f"{count} good parts are too few for a false-positive rate of {asked.rate:g} by the "
            f"rule {asked.rule}, which needs {promised['next'] - count} more; they support "
            f"{by_average:g} by the rule {AVERAGE} and {by_tolerance:g} by the rule {TOLERANCE}"
        )
    return promised


def largest(parts: GoodParts) -> list[int]:
    """Rows of the parts with the largest scores, the largest first; of a part, its largest one."""
    rows: dict[object, int] = {}
    for row in np.argsort(-parts.scores, kind="stable").tolist():
        rows.setdefault(parts.groups[row] or row, row)
    return list(rows.values())


def far_off(scores: np.ndarray) -> int:
    """How many of the parts stand so far off the others that they may be defective.

    The scores above the lowest gap that is so wide, among the `LARGEST` and at most a tenth of
    all: the fewer parts lie below a gap, the wider it is by chance.

    Parameters
    ----------
    scores
        One of each part, the largest first.
    """
    above = scores - np.median(scores)
    most = min(LARGEST, max(1, len(scores) // 10), len(scores) - 1)
    return max((k for k in range(1, most + 1) if above[k - 1] > FAR * above[k]), default=0)


def draw(detector: Detector, parts: GoodParts, rows: list[int], folder: Path) -> list[Path]:
    """Pictures of some parts, with their maps if there are some, in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("[1-9]_*.jpg"):
        earlier.unlink()
    pictures = []
    for place, row in enumerate(rows, start=1):
        image = whole_image(parts.files[row], detector.metadata)
        anomaly_map = None if parts.maps is None else parts.maps[row]
        pictures.append(folder / f"{place}_{image.path.stem}.jpg")
        drawn = picture(detector, image, anomaly_map, LARGEST_PANEL)
        drawn.save(pictures[-1], "JPEG", quality=85)
    return pictures


def differences(detector: Detector, parts: GoodParts) -> list[str]:
    """How the parts differ from those behind the detector's threshold, or that they do not."""
    metadata, scores = detector.metadata, parts.scores.tolist()
    alike = len(scores) / independent_size(parts.groups)
    world = same_world(scores, metadata["threshold"], parts.statistics, metadata, alike)
    return world["differences"] or [world["advice"]]


def calibrated_metadata(
    detector: Detector, parts: GoodParts, promised: Promise, folder: Path
) -> dict[str, Any]:
    """What the detector says of itself with its new threshold; the old one stays in ``history``."""
    old = detector.metadata
    kept = {name: old[name] for name in ("threshold", "calibration") if name in old}
    return old | {
        "format": FORMAT,
        **threshold_entries(parts.scores, parts.groups, parts.maps, promised),
        "calibration": calibration_entry(
            folder.resolve().name,
            promised,
            parts.copies,
            parts.digests,
            photographed(parts.statistics, parts.groups),
        ),
        "history": [*old.get("history", []), kept | {"sha256": detector.sha256}],
    }


def write_calibrated(
    detector: Detector, output: Path, metadata: Mapping[str, Any], parts: GoodParts, threads: int
) -> dict[str, Any]:
    """Write a detector with a new threshold, once it has scored the parts as the old one did.

    Returns
    -------
    dict
        From `proof.prove`; it stands in the metadata of the calibration, too.
    """
    calibration = metadata["calibration"]
    try:
        content, sha256 = read_sealed(detector.path)
        if sha256 != detector.sha256:
            raise InputError("has become another detector; calibrate again")
        with atomic_path(output) as part:
            part.write_bytes(recalibrated(content, detector.text, metadata))
            new = Detector(part, threads, gives_way=True)
            proof = prove(new, parts.files, parts.scores, parts.maps, threads)
            proved = {**metadata, "calibration": calibration | {"proof": proof}}
            part.write_bytes(recalibrated(content, detector.text, proved))
            Detector(part, threads)
    except InputError as error:
        raise InputError(f"{detector.path}: {error}") from error
    return proof
