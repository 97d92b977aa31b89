"""What a detector costs: measured in a process of its own, as a user would run it.

``python -m defectbench.deployment.cost DETECTOR THREADS IMAGE...`` prints the card as JSON.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from defectbench.deployment.detector import Detector, decoded_image, decoded_images
from defectbench.provenance import SCRIPTS, peak_memory_mb

BATCH = 4
LATENCIES = 100
"""Images whose latency is measured, one by one."""


def measured_cost(path: Path, images: Sequence[Path], threads: int) -> dict[str, Any]:
    """Cost card of a detector, from a fresh process."""
    spread = np.linspace(0, len(images) - 1, min(len(images), LATENCIES)).astype(int)
    printed = subprocess.check_output(
        [sys.executable, "-m", __name__, path, str(threads), *(images[i] for i in spread)],
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
        first apart; ``images_per_second`` in batches; ``peak_memory_mb``, None where the system
        does not tell; ``file_mb``; ``threads``, ``machine`` and ``onnxruntime``.
    """
    start = time.perf_counter()
    detector = Detector(path, threads)
    load_seconds = time.perf_counter() - start
    latencies = []
    for image in [images[0], *images]:
        start = time.perf_counter()
        detector.score(decoded_image(image, detector.metadata).pixels[None])
        latencies.append(1000 * (time.perf_counter() - start))
    start = time.perf_counter()
    decoded = decoded_images(images, detector.metadata, threads)
    while batch := [image.pixels for image in islice(decoded, BATCH)]:
        detector.score(np.stack(batch))
    seconds = time.perf_counter() - start
    peak = peak_memory_mb()
    return {
        "load_seconds": round(load_seconds, 3),
        "milliseconds_median": round(float(np.median(latencies[1:])), 2),
        "milliseconds_95th_percentile": round(float(np.quantile(latencies[1:], 0.95)), 2),
        "images_per_second": round(len(images) / seconds, 1),
        "peak_memory_mb": None if peak is None else round(peak),
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "threads": threads,
        "machine": f"{_processor()}, {os.cpu_count()} CPUs",
        "onnxruntime": onnxruntime.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")  # of Linux alone
    named = re.search(r"^model name\s*: (.*)", info.read_text() if info.exists() else "", re.M)
    return named[1].strip() if named else platform.processor() or platform.machine()


if __name__ == "__main__":
    path, threads, *images = sys.argv[1:]
    print(json.dumps(cost_card(Path(path), [Path(image) for image in images], int(threads))))
