"""An exported detector held against the benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.deployment.detector import Detector, allowed_deviation
from defectbench.errors import InputError
from defectbench.images.network_image import covers_canvas, decoded_images
from defectbench.progress import Progress

RELATIVE = 1e-4
"""Of a score: rounding of a network's features, on a GPU or a CPU, moves scores by less."""

OF_SPREAD = 1e-3
"""Of the held-out scores' standard deviation."""

OF_LARGEST = 1e-3
"""Of the largest value of all maps."""


def score_tolerance(held_out: Sequence[float]) -> dict[str, float]:
    """Tolerance of a score: ``absolute``, and ``relative`` to the score."""
    return {"absolute": OF_SPREAD * float(np.std(held_out)), "relative": RELATIVE}


def prove(
    detector: Detector,
    files: Sequence[Path],
    scores: np.ndarray,
    maps: np.ndarray | None,
    threads: int,
) -> dict[str, Any]:
    """Score images through the exported detector and compare with the benchmark.

    Parameters
    ----------
    detector
        As exported.
    files
        Test images.
    scores, maps
        Of the benchmark, in the order of the images; maps are (n_images, height, width), in
        memory or as an HDF5 dataset, None where there are none to compare with.
    threads
        That decode the images.

    Returns
    -------
    dict
        ``images``, how many were compared, ``left_out``, those of other proportions, which an
        exported detector does not take; ``largest_deviation`` of a score;
        ``largest_share_of_tolerance`` of a score's deviation, at most 1; ``largest_map_deviation``
        as a share of the largest map value, None without maps; ``verdict_flips``, images whose
        verdict differs, each of which lies within rounding of the threshold.

    Raises
    ------
    InputError
        If an image cannot be read, or a score, a map or a verdict differs by more than rounding.
    """
    images = decoded_images(files, detector.metadata, threads)
    progress = Progress(len(files), "proof of the detector")
    threshold = detector.metadata["threshold"]["value"]
    found, verdicts = scores.copy(), scores >= threshold
    deviations, levels = np.zeros((2, len(scores)), np.float32)
    compared = 0
    for number, image in enumerate(images):
        progress.advance(1)
        if not covers_canvas(image, detector.metadata):
            continue
        compared += 1
        scored = detector.score_image(image)
        found[number], verdicts[number] = scored.scores[0], scored.defective[0]
        if maps is not None:
            own = maps[number]
            deviations[number] = np.abs(scored.maps[0] - own).max()
            levels[number] = np.abs(own).max()
    shares = np.abs(found - scores) / allowed_deviation(scores, detector.metadata["tolerance"])
    _check_scores(shares, found, scores)
    _check_verdicts(verdicts, found >= threshold)
    deviation = None if maps is None else _map_deviation(deviations, levels)
    return {
        "images": compared,
        "left_out": len(scores) - compared,
        "largest_deviation": float(np.abs(found - scores).max()),
        "largest_share_of_tolerance": float(shares.max()),
        "largest_map_deviation": deviation,
        "verdict_flips": int((verdicts != (scores >= threshold)).sum()),
    }


def _check_scores(shares: np.ndarray, found: np.ndarray, scores: np.ndarray) -> None:
    """Refuse deviations that are more than their share of what is allowed."""
    worst = int(shares.argmax())
    if not shares[worst] <= 1:
        raise InputError(
            f"the exported detector scores test image {worst} (counted from 0) {found[worst]:.9g}, "
            f"the benchmark {scores[worst]:.9g}: no detector is written"
        )


def _check_verdicts(verdicts: np.ndarray, expected: np.ndarray) -> None:
    # the scores are the benchmark's to rounding, so that verdicts can differ there alone
    wrong = np.flatnonzero(verdicts != expected)
    if len(wrong):
        raise InputError(
            f"the exported detector's verdict on test image {wrong[0]} (counted from 0) is not "
            "that of its score: no detector is written"
        )


def _map_deviation(deviations: np.ndarray, levels: np.ndarray) -> float:
    """Largest deviation of a map, as a share of the largest value of all maps."""
    deviation = float(deviations.max() / levels.max())
    if not deviation <= OF_LARGEST:
        raise InputError(
            f"the exported detector's maps deviate from the benchmark's by {deviation:.1e} of the "
            "largest value: no detector is written"
        )
    return deviation
