"""Time and memory of the pixel metrics on one thread, against ordering every pixel with its label.

Each measurement runs in a process of its own, so that its peak memory is its own. Low-resolution
maps of 64×64 and one to three elliptical defects in two of three images are drawn with a seed;
the upsampling and the labelling of regions are part of the time.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from tabulate import tabulate

from defectbench.evaluation.pixel_intervals import pixel_intervals
from defectbench.evaluation.pixel_metrics import (
    LIMITS,
    pixel_metrics,
)
from defectbench.evaluation.pixel_ranks import TOUCHING_CORNERS, collect_pixels, rank_pixels
from defectbench.scorers.grids import bilinear
from defectbench.storage import write_text

SETS = {"5 Mpx": (83, 256), "29 Mpx": (110, 512), "115 Mpx": (110, 1024)}
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
REPORT = Path("reports/pixel_benchmark.md")


def make_images(count: int, side: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Maps of residuals with defects that stand out more or less."""
    rng = np.random.default_rng(42)
    rows, columns = np.mgrid[:side, :side] / side
    for image in range(count):
        low = rng.gamma(2, 1, (64, 64)).astype(np.float32)
        if image % 3 == 0:
            yield bilinear(low, (side, side)), None
            continue
        mask = np.zeros((side, side), bool)
        for _ in range(rng.integers(1, 4)):
            y, x = rng.uniform(0.1, 0.9, 2)
            height, width = rng.uniform(0.02, 0.12, 2)
            mask |= ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1
        low += ndimage.zoom(mask, 64 / side, output=np.float32, order=0) * rng.gamma(2, 1)
        yield bilinear(low, (side, side)), mask


def this_project(count: int, side: int, intervals: bool) -> dict[str, float]:
    """The metrics as the workflow computes them."""
    pixels = collect_pixels(make_images(count, side))
    ranked = rank_pixels(pixels)
    metrics = pixel_metrics(ranked)
    if intervals:
        pixel_intervals(pixels, ranked, metrics, np.full(count, ""), 42, "bench")
    return metrics


def full_sort(count: int, side: int) -> dict[str, float]:
    """All pixels ordered by score, then cumulative sums, as the definitions are usually written."""
    scores = np.empty((count, side, side), np.float32)
    overlap = np.zeros((count, side, side), np.float64)
    for image, (anomaly_map, mask) in enumerate(make_images(count, side)):
        scores[image] = anomaly_map
        if mask is not None:
            labelled, _ = ndimage.label(mask, TOUCHING_CORNERS)
            overlap[image][mask] = 1 / np.bincount(labelled[mask])[labelled[mask]]
    order = np.argsort(-scores, axis=None, kind="stable")
    overlap = overlap.ravel()[order]
    ordered = scores.ravel()[order]
    del scores, order
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(overlap > 0)[last]
    false = last + 1 - true
    reached = np.cumsum(overlap)[last]
    rate = np.append(0, false / false[-1])
    recall = np.append(0, true / true[-1])
    pro = np.append(0, reached / reached[-1])
    metrics = {
        "pixel_auroc": np.trapezoid(recall, rate),
        "pixel_aupr": (np.diff(recall) * true / (true + false)).sum(),
    }
    for limit in LIMITS:
        inside = np.searchsorted(rate, limit, "right")
        x = np.append(rate[:inside], limit)
        y = np.append(pro[:inside], np.interp(limit, rate, pro))
        metrics[f"aupro_{limit:g}"] = np.trapezoid(y, x) / limit
    return {name: float(value) for name, value in metrics.items()}


WAYS = {
    "drawing and upsampling the maps alone": lambda count, side: [
        None for _ in make_images(count, side)
    ],
    "this project": lambda count, side: this_project(count, side, intervals=False),
    "this project, with intervals": lambda count, side: this_project(count, side, intervals=True),
    "full sort": full_sort,
}


def measure(way: str, name: str) -> dict:
    """One way on one set, in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--set", name]
    environment = os.environ | ONE_THREAD
    return json.loads(
        subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    )


def run_one(way: str, name: str) -> None:
    """Print processor seconds, peak memory in GB and the metrics as JSON."""
    begin = time.process_time()
    metrics = WAYS[way](*SETS[name])
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": seconds, "peak": peak, "metrics": metrics}))


def processor() -> str:
    """Model name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is shown")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--set", choices=SETS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        run_one(arguments.way, arguments.set)
        return
    table, differences = [], []
    for name, (count, side) in SETS.items():
        runs = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):  # the ways take turns, so that a busy spell hits all
            for way in WAYS:
                runs[way].append(measure(way, name))
        ours, theirs = runs["this project"][0]["metrics"], runs["full sort"][0]["metrics"]
        differences.append(max(abs(ours[key] - theirs[key]) for key in ours))
        for way, results in runs.items():
            seconds = np.median([result["seconds"] for result in results])
            peak = max(result["peak"] for result in results)
            table.append([f"{name}: {count} × {side}²", way, f"{seconds:.2f}", f"{peak:.2f}"])
    header = ["pixels", "way", "processor seconds", "peak memory, GB"]
    text = f"""# Pixel metrics: time and memory

Pixel AUROC, average precision, AUPRO to 0.3 and to 0.05, all exact; one thread of
{processor()}, NumPy {np.__version__}; median of {arguments.rounds} runs, the ways by turns. Made by
`make bench-pixels` on drawn maps (tests/bench/pixel_metrics.py). Every way includes drawing and
upsampling the maps, which the first row of each set shows by itself.

{tabulate(table, header, "github", disable_numparse=True)}

Largest difference from the full sort in any metric: {max(differences):.0e}.
"""
    write_text(REPORT, text)
    print(text)


if __name__ == "__main__":
    main()
