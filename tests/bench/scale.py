"""Time, memory and disk of the scoring stage against images, dimensions and detector.

Every cell is a process of its own that does what rule `scores` does (fit, test images, held-out
folds) on generated features, on one thread and with an address space of 16 GB.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import ROOT, Project, other_project, processor, table

VECTORS = {
    "pca_kde": {"components": 16},
    "pca_fre": {"variance": 0.97},
    "pca_gaussian": {"variance": 0.97},
    "nearest_neighbour": {},
    "mahalanobis": {},
    "kernel_pca_fre": {},
    "tied_autoencoder": {},
}
MAPS = {
    "pca_kde": {"components": 16},
    "pca_fre": {"variance": 0.97},
    "pca_gaussian": {"variance": 0.97},
    "nearest_neighbour": {},
    "mahalanobis": {},
    "padim": {},
    "patch_subspace": {},
    "patchcore": {"coreset": 0.01},
}
SHAPES = {(512,): VECTORS, (16384,): VECTORS, (112, 32, 32): MAPS}
IMAGES = (300, 1000, 5000, 20000)
TEST = 100
"""Test images, whatever the number of training images."""

ALMOST = 0.15
"""Exponents that differ by less from a whole number are called by it."""


class Cell(NamedTuple):
    """One detector on one set of features.

    Attributes
    ----------
    shape, detector, images, project
        What was run: features of an image, scorer, training images, name of the checkout.
    cpu, wall
        Seconds.
    memory
        Peak MB.
    disk
        MB of model and maps.
    ending
        Empty for an end as it should be, or why there is none.
    """

    shape: tuple[int, ...]
    detector: str
    images: int
    project: str
    cpu: float
    wall: float
    memory: float
    disk: float
    ending: str


def run(task: dict[str, Any], root: Path, folder: Path, seconds: float) -> tuple[Any, float, str]:
    """Resources of a process that does a task, its wall seconds, and why it has not ended well."""
    environment = os.environ | {"PYTHONPATH": str(root / "workflow" / "scripts")}
    environment |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    command = [sys.executable, str(Path(__file__).with_name("scale_work.py")), json.dumps(task)]
    begin = time.perf_counter()
    with open(folder / "output.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
    wall = time.perf_counter() - begin
    if os.WIFSIGNALED(status):
        beyond = wall >= seconds and os.WTERMSIG(status) == signal.SIGKILL
        return usage, wall, f"over {seconds:.0f} s" if beyond else "killed"
    return usage, wall, last_line(folder) if status else ""


def last_line(folder: Path) -> str:
    """What a process said last, in its own log or in that of the rule's script."""
    logs = (folder / name for name in ("output.log", "scores.log"))
    said = "\n".join(log.read_text() for log in logs if log.exists()).split("\n")
    return next((line for line in reversed(said) if line.strip()), "failed")


def measure(
    features: Path,
    project: Project,
    detector: str,
    images: int,
    shape: tuple[int, ...],
    arguments: argparse.Namespace,
) -> Cell:
    """Score generated features with one detector."""
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as output:
        task = {"do": "score", "root": str(project.root), "folder": str(features)}
        task |= {"output": output, "scorer": detector, "parameters": SHAPES[shape][detector]}
        task |= {"address_space": int(arguments.memory * 1e9)}
        usage, wall, ending = run(task, project.root, Path(output), arguments.seconds)
        written = sum(Path(output, name).stat().st_size for name in os.listdir(output))
    cpu = usage.ru_utime + usage.ru_stime
    cell = Cell(
        shape, detector, images, project.name, cpu, wall, usage.ru_maxrss / 1024,
        written / 1e6, ending,
    )  # fmt: skip
    print(cell, file=sys.stderr)
    return cell


def cells(arguments: argparse.Namespace) -> Iterator[Cell]:
    """All cells; features are generated once for all detectors and removed then."""
    projects = [Project("this project", ROOT)]
    if arguments.against:
        projects.append(other_project(arguments.against))
    stopped = set()
    for shape, detectors in SHAPES.items():
        for images in arguments.images:
            chosen = [name for name in detectors if name in arguments.detectors]
            if not chosen or "×".join(map(str, shape)) not in arguments.shapes:
                continue
            with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
                folder = Path(name)
                task = {"do": "generate", "folder": name, "train": images, "test": TEST}
                _, _, problem = run(task | {"shape": shape}, ROOT, folder, math.inf)
                if problem:
                    sys.exit(f"features cannot be generated: {problem}")
                for detector in chosen:
                    for project in projects:
                        key = (shape, detector, project.name)
                        if key in stopped:  # more images take longer still
                            continue
                        cell = measure(folder, project, detector, images, shape, arguments)
                        if cell.ending.startswith("over "):
                            stopped.add(key)
                        yield cell


def growth(found: Sequence[Cell], of: str) -> str:
    """In words, how an amount grows with the images: from the two largest sets that ended."""
    done = [cell for cell in found if not cell.ending]
    if len(done) < 2:
        return "–"
    fewer, more = done[-2:]
    power = math.log(getattr(more, of) / getattr(fewer, of)) / math.log(more.images / fewer.images)
    names = {0: "hardly", 1: "in proportion", 2: "with the square", 3: "with the cube"}
    nearest = round(power)
    if abs(power - nearest) <= ALMOST and nearest in names:
        return names[nearest]
    return f"as n^{power:.1f}"


def measured(cell: Cell) -> list[str]:
    """Row of the table."""
    amounts = [f"{cell.cpu:.1f}", f"{cell.wall:.1f}", f"{cell.memory:.0f}", f"{cell.disk:.1f}"]
    return [cell.detector, f"{cell.images:,}", cell.project, *amounts, cell.ending]


def report(found: Sequence[Cell], arguments: argparse.Namespace) -> str:
    """All tables, and how each detector grows."""
    header = ["detector", "images", "code", "CPU s", "wall s", "peak MB", "MB written", "ending"]
    parts = [
        "# Scoring against the number of images\n\nMade by `make bench-scale` "
        f"(tests/bench/scale.py) on {processor()}, NumPy {np.__version__}: one process for each "
        f"row, on one thread, with {arguments.memory:g} GB of "
        f"address space (`ulimit -v`) and {arguments.seconds:.0f} s at most. A row is what rule "
        f"`scores` does: fit on so many generated images, score {TEST} others, and hold out five "
        "folds. MB written are those of model and maps."
    ]
    for shape, rows in groupby(found, key=lambda cell: cell.shape):
        own = sorted(rows, key=lambda cell: (cell.detector, cell.project != "this project"))
        megabytes = 4 * math.prod(shape) / 1e6
        parts.append(
            f"## Features of {' × '.join(map(str, shape))}\n\n{megabytes:.3f} MB an image on disk."
        )
        parts.append(table([measured(cell) for cell in own], header))
        laws = []
        for (detector, project), members in groupby(own, key=lambda c: (c.detector, c.project)):
            of = list(members)
            laws.append([detector, project, growth(of, "cpu"), growth(of, "memory")])
        parts.append(table(laws, ["detector", "code", "CPU time grows", "memory grows"]))
    parts.append(
        "Growth is a power of the number of images, from the two largest sets that ended; within "
        f"{ALMOST:g} of a whole number it is called by that: *hardly* is the power 0."
    )
    return "\n\n".join(parts) + "\n"


def parsed() -> argparse.Namespace:
    """What is asked for on the command line."""
    names = ["×".join(map(str, shape)) for shape in SHAPES]
    every = sorted(VECTORS | MAPS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--shapes", nargs="+", choices=names, default=names)
    parser.add_argument("--detectors", nargs="+", choices=every, default=every)
    parser.add_argument("--seconds", type=float, default=900, help="for one row, at most")
    parser.add_argument("--memory", type=float, default=16, help="address space, GB")
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--scratch", type=Path, help="folder for features, up to 10 GB")
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "benchmark_scale.md")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    found = []
    for cell in cells(arguments):
        found.append(cell)
        arguments.output.write_text(report(found, arguments))  # what is known, if it is stopped
    print(arguments.output)


if __name__ == "__main__":
    main()
