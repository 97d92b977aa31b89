"""What a detector costs: measured in a process of its own, as a user would run it.

``python -m defectbench.deployment.cost DETECTOR THREADS IMAGE...`` prints the card as JSON.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from defectbench.deployment.detector import (
    Detector,
    decoded_image,
    decoded_images,
    milliseconds_since,
)
from defectbench.provenance import peak_memory_mb

BATCH = 4
LATENCIES = 100
"""Images whose latency is measured, one by one."""


def measured_cost(path: Path, images: Sequence[Path], threads: int) -> dict[str, Any]:
    """Cost card of a detector, from a fresh process."""
    scripts = Path(__file__).parents[2]
    chosen = [
        images[i] for i in np.linspace(0, len(images) - 1, min(len(images), LATENCIES)).astype(int)
    ]
    run = subprocess.run(
        [sys.executable, "-m", __name__, str(path), str(threads), *map(str, chosen)],
        env=os.environ | {"PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


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
    preprocessing, bits = detector.metadata["preprocessing"], detector.metadata["bits"]
    latencies = []
    for image in [images[0], *images]:
        start = time.perf_counter()
        detector.score(decoded_image(image, preprocessing, bits).pixels[None])
        latencies.append(milliseconds_since(start))
    start = time.perf_counter()
    decoded = decoded_images(images, preprocessing, threads, bits)
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
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    path, threads, *images = sys.argv[1:]
    print(json.dumps(cost_card(Path(path), [Path(image) for image in images], int(threads))))
