"""What an exported detector costs: time to load it, time per image, memory.

``python -m defectbench.detector_cost DETECTOR THREADS IMAGE…`` prints it as JSON: it is measured in
a process of its own, as a user would run it. How long a detector takes in PyTorch: see `speed`.
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

from defectbench.deployment.detector import Detector
from defectbench.images.network_image import covers_canvas, decoded_image, decoded_images
from defectbench.machine import machine_name
from defectbench.provenance import SCRIPTS, library_versions, peak_memory_mb

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
