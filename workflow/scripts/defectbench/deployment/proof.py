"""An exported detector held against the benchmark, and what it costs.

``python -m defectbench.deployment.proof DETECTOR THREADS IMAGE…`` prints the cost as JSON: it is
measured in a process of its own, as a user would run it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.deployment.detector import (
    Detector,
    allowed_deviation,
    covers_canvas,
    decoded_image,
    decoded_images,
)
from defectbench.errors import InputError
from defectbench.machine import machine_name
from defectbench.progress import Progress
from defectbench.provenance import SCRIPTS, library_versions, peak_memory_mb

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


BATCH = 4
LATENCIES = 100
"""Images whose latency is measured, one by one."""


def measured_cost(path: Path, images: Sequence[Path], threads: int) -> dict[str, Any]:
    """Cost card of a detector, from a fresh process."""
    spread = np.linspace(0, len(images) - 1, min(len(images), LATENCIES)).astype(int)
    printed = subprocess.check_output(
        [sys.executable, "-P", "-m", __name__, path, str(threads), *(images[i] for i in spread)],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        stderr=subprocess.PIPE,  # what libraries print there is not for the terminal
    )
    return json.loads(printed)


def cost_card(path: Path, images: Sequence[Path], threads: int) -> dict[str, Any]:
    """Measure load time, latency, throughput and memory in this process.

    Returns
    -------
    dict
        ``load_seconds``, of the file with all its checks; ``milliseconds_median`` and
        ``milliseconds_95th_percentile``, from an image's file to its verdict, one at a time, the
        first apart; ``images_per_second`` in batches; ``peak_memory_mb`` of both processes, None
        where the system does not tell; ``file_mb``; ``threads``, ``machine`` and ``onnxruntime``.
    """
    start = time.perf_counter()
    detector = Detector(path, threads)
    load_seconds = time.perf_counter() - start
    latencies = []
    for image in [images[0], *images]:
        start = time.perf_counter()
        decoded = decoded_image(image, detector.metadata)
        if covers_canvas(decoded, detector.metadata):
            detector.score(decoded.pixels[None])
            latencies.append(1000 * (time.perf_counter() - start))
    start = time.perf_counter()
    decoded = (
        image
        for image in decoded_images(images, detector.metadata, threads)
        if covers_canvas(image, detector.metadata)
    )
    while batch := [image.pixels for image in islice(decoded, BATCH)]:
        detector.score(np.stack(batch))
    seconds = time.perf_counter() - start
    detector.close()
    # of the process of the graph, in kB; nothing larger was waited for
    graph_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    peak = peak_memory_mb()
    return {
        "load_seconds": round(load_seconds, 3),
        "milliseconds_median": round(float(np.median(latencies[1:])), 2),
        "milliseconds_95th_percentile": round(float(np.quantile(latencies[1:], 0.95)), 2),
        "images_per_second": round((len(latencies) - 1) / seconds, 1),
        "peak_memory_mb": None if peak is None else round(peak + graph_mb),
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "threads": threads,
        "machine": machine_name(),
        **library_versions("onnxruntime"),
    }


if __name__ == "__main__":
    path, threads, *images = sys.argv[1:]
    print(json.dumps(cost_card(Path(path), [Path(image) for image in images], int(threads))))
