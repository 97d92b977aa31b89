"""An exported detector held against the scores and maps of the benchmark."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from defectbench.deployment.detector import Detector, Unreadable, allowed_deviation
from defectbench.errors import InputError

RELATIVE = 1e-4
"""Of a score: rounding of a network's features, on a GPU or a CPU, moves scores by less."""

OF_SPREAD = 1e-3
"""Of the held-out scores' standard deviation."""

OF_LARGEST = 1e-3
"""Of the largest value of all maps."""


class Proof(NamedTuple):
    """How an exported detector compares with the benchmark on the test images.

    Attributes
    ----------
    images
        Compared.
    largest_deviation
        Of a score.
    largest_share_of_tolerance
        Of a score's deviation; at most 1.
    largest_map_deviation
        As a share of the largest map value; None where there are no maps to compare with.
    verdict_flips
        Images whose verdict differs; each lies within rounding of the threshold.
    """

    images: int
    largest_deviation: float
    largest_share_of_tolerance: float
    largest_map_deviation: float | None
    verdict_flips: int


def score_tolerance(held_out: Sequence[float]) -> dict[str, float]:
    """Tolerance of a score: ``absolute``, and ``relative`` to the score."""
    return {"absolute": OF_SPREAD * float(np.std(held_out)), "relative": RELATIVE}


def prove(
    detector: Detector,
    images: Iterable,
    scores: np.ndarray,
    maps: np.ndarray | None = None,
) -> Proof:
    """Score images through the exported detector and compare.

    Parameters
    ----------
    detector
        As exported.
    images
        Test images from `detector.decoded_images`.
    scores
        Of the benchmark, in the order of the images.
    maps
        Of the benchmark, (n_images, height, width), if there are any.

    Raises
    ------
    InputError
        If a score, a map or a verdict differs by more than rounding.
    """
    found, verdicts, found_maps = [], [], []
    for image in images:
        if isinstance(image, Unreadable):
            raise InputError(image.reason)
        scored = detector.score(image.pixels[None])
        found.append(scored.scores[0])
        verdicts.append(scored.defective[0])
        found_maps += [] if scored.maps is None else [scored.maps[0]]
    found, verdicts = np.array(found), np.array(verdicts)
    shares = _check_scores(detector, found, scores)
    threshold = detector.metadata["threshold"]["value"]
    _check_verdicts(verdicts, found >= threshold)
    return Proof(
        images=len(scores),
        largest_deviation=float(np.abs(found - scores).max()),
        largest_share_of_tolerance=float(shares.max()),
        largest_map_deviation=_check_maps(found_maps, maps),
        verdict_flips=int((verdicts != (scores >= threshold)).sum()),
    )


def _check_scores(detector: Detector, found: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Deviation of each score as a share of what is allowed."""
    shares = np.abs(found - scores) / allowed_deviation(scores, detector.metadata["tolerance"])
    worst = int(shares.argmax())
    if not shares[worst] <= 1:
        raise InputError(
            f"the exported detector scores test image {worst} (counted from 0) {found[worst]:.9g}, "
            f"the benchmark {scores[worst]:.9g}: no detector is written"
        )
    return shares


def _check_verdicts(verdicts: np.ndarray, expected: np.ndarray) -> None:
    # the scores are the benchmark's to rounding, so that verdicts can differ there alone
    wrong = np.flatnonzero(verdicts != expected)
    if len(wrong):
        raise InputError(
            f"the exported detector's verdict on test image {wrong[0]} (counted from 0) is not "
            "that of its score: no detector is written"
        )


def _check_maps(found: list[np.ndarray], maps: np.ndarray | None) -> float | None:
    if maps is None or not found:
        return None
    deviation = float(np.abs(np.stack(found) - maps).max() / np.abs(maps).max())
    if not deviation <= OF_LARGEST:
        raise InputError(
            f"the exported detector's maps deviate from the benchmark's by {deviation:.1e} of the "
            "largest value: no detector is written"
        )
    return deviation
