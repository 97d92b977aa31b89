"""PatchCore and PaDiM from images to AUROC: this workflow against anomalib's own Engine.

Both run as whole processes, in turn, on the same images, weights and cores.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from inputs import image_config
from measuring import ROOT, Project, Usage, alternate, measure, processor, spread, table

BACKBONE, CHANNELS = "resnet18", 100
LAYERS = {"patchcore": ["layer2", "layer3"], "padim": ["layer1", "layer2", "layer3"]}
NAMES = {"patchcore": "PatchCore", "padim": "PaDiM"}
ROUNDS = {"patchcore": 1, "padim": 3}
"""PatchCore's takes minutes, most of them in anomalib's selection of patches."""


class Run(NamedTuple):
    """What one run took and found, and the version of what ran."""

    usage: Usage
    auroc: float
    version: str = ""


@dataclass(frozen=True)
class Task:
    """What every run is given.

    Attributes
    ----------
    category
        In the MVTec layout.
    weights
        State dict of torchvision's ResNet-18.
    coreset
        Share of the patches that PatchCore keeps.
    cores
        That a run may use.
    scratch
        Folder for the files of runs.
    """

    category: Path
    weights: Path
    coreset: float
    cores: int
    scratch: Path

    def config(self, method: str) -> dict[str, Any]:
        """Config of one detector on this category alone."""
        parameters = {"coreset": self.coreset} if method == "patchcore" else {"channels": CHANNELS}
        shared = {"preprocessing": "lanczos256", "backbones": [BACKBONE]}
        detector = {"scorer": method, "layers": LAYERS[method], **parameters, **shared}
        config = image_config(self.category.parent, {BACKBONE: self.weights}, {method: detector})
        return config | {"categories": [self.category.name]}


def this_project(task: Task, method: str) -> Run:
    """The workflow in an empty folder, from images to table."""
    with tempfile.TemporaryDirectory(dir=task.scratch) as name:
        folder = Path(name)
        project = Project("this project", ROOT)
        usage = project.run(folder, task.config(method), str(task.cores))
        cell = folder / "results" / "bench" / task.category.name / method / BACKBONE
        metrics = json.loads((cell / "metrics.json").read_text())["metrics"]
    return Run(usage, metrics["image_auroc"])


def anomalib(task: Task, method: str, python: str) -> Run:
    """Fit and test by its Engine, with the Python of an environment that has it."""
    script = Path(__file__).with_name("anomalib_engine.py")
    with tempfile.TemporaryDirectory(dir=task.scratch) as name:
        result = Path(name) / "result.json"
        command = [python, str(script), str(task.category), str(task.weights), "--method", method]
        command += ["--layers", *LAYERS[method], "--coreset", str(task.coreset)]
        command += ["--channels", str(CHANNELS), "--output", str(result)]
        usage = measure(command, Path(name))
        found = json.loads(result.read_text())
    return Run(usage, found["auroc"], found["versions"])


def compare(task: Task, method: str, python: str, rounds: int) -> dict[str, list[Run]]:
    """Runs of both, round by round."""
    runs = {
        "this project": lambda: this_project(task, method),
        "anomalib": lambda: anomalib(task, method, python),
    }
    return alternate(rounds, runs)


def rows_of(method: str, runs: Mapping[str, Sequence[Run]]) -> list[list[str]]:
    """Of each system, and of anomalib's figures divided by ours, round by round."""
    figures = {name: [[*run.usage, run.auroc] for run in found] for name, found in runs.items()}
    ours, theirs = figures.values()
    ratios = [
        [a / b for a, b in zip(*each, strict=True)] for each in zip(theirs, ours, strict=True)
    ]
    lines = [(name, found, (1, 1, 0, 3)) for name, found in figures.items()]
    lines.append(("anomalib / this project", ratios, (2, 2, 2, 3)))
    return [
        [NAMES[method], name, *map(spread, zip(*found, strict=True), digits)]
        for name, found, digits in lines
    ]


def some_images(category: Path, folder: Path, most: int) -> Path:
    """Copy of a category with at most so many images of each kind."""
    for kind in sorted(category.glob("*/*")):
        copy = folder / category.name / kind.relative_to(category)
        copy.mkdir(parents=True)
        for file in sorted(kind.iterdir())[:most]:
            shutil.copy(file, copy)
    return folder / category.name


def report(task: Task, found: Mapping[str, Mapping[str, Sequence[Run]]]) -> str:
    """Text of the published file."""
    rows = [row for method, runs in found.items() for row in rows_of(method, runs)]
    header = ["detector", "run", "wall s", "CPU s", "peak MB", "image AUROC"]
    (versions,) = {run.version for runs in found.values() for run in runs["anomalib"]}
    train, test = (len([*task.category.glob(f"{split}/*/*")]) for split in ("train", "test"))
    rounds = ", ".join(f"{NAMES[method]} {len(runs['anomalib'])}" for method, runs in found.items())
    return f"""# Whole runs beside anomalib's Engine

Made by `make bench-engine` (tests/bench/engine.py) with {versions}.
Cores and threads of each run: {task.cores} of {processor()}.
Rounds: {rounds}; medians with their range, ratios round by round.

{train} training and {test} test images of {task.category.name} at 256×256, ResNet-18 with the same
weights. PatchCore: layers 2 and 3, {task.coreset:.3g} of the patches kept. PaDiM: layers 1 to 3,
{CHANNELS} channels.

Every figure is of a whole run from its start, with imports and decoding: of this project all that
Snakemake starts, of anomalib its Engine's fit and test, in one Python with a decoding worker per
core. Peak MB is the largest process of a run. **This project's runs include held-out scores and
maps** for the thresholds, for which PatchCore is fitted ten times more and PaDiM leaves out each
image once, and intervals of image and pixel metrics. anomalib holds nothing out; its threshold
comes from the test images, which it scores once more for it. Its pictures are turned off.

The AUROC is what each reports, anomalib from scores that it has normalised and cut off at 0 and 1.
Images are resized by LANCZOS here and bilinearly with antialiasing there, and PaDiM's channels and
PatchCore's first patch are other random draws: the AUROCs need not be equal. From the same
features and draws the scores are (docs/parity.md).

## PatchCore and PaDiM, from images to AUROC

{table(rows, header)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path, help="in the MVTec layout, such as bottle")
    parser.add_argument("weights", type=Path, help="state dict of torchvision's resnet18")
    parser.add_argument("anomalib", metavar="python", help="of an environment that has anomalib")
    parser.add_argument("--methods", nargs="+", choices=list(LAYERS), default=list(LAYERS))
    parser.add_argument("--coreset", type=float, default=0.01, help="share that PatchCore keeps")
    parser.add_argument("--rounds", type=int, help="default: PatchCore 1, PaDiM 3")
    parser.add_argument("--cores", type=int, default=2, help="at most so many for either")
    parser.add_argument("--images", type=int, help="at most so many of each kind, for a trial")
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "benchmark_engine.md")
    arguments = parser.parse_args()
    # what is started inherits them, and counts its threads by them
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    category = arguments.category.resolve()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if arguments.images:
            category = some_images(category, scratch / "images", arguments.images)
        cores = len(os.sched_getaffinity(0))
        task = Task(category, arguments.weights.resolve(), arguments.coreset, cores, scratch)
        found = {
            method: compare(task, method, arguments.anomalib, arguments.rounds or ROUNDS[method])
            for method in arguments.methods
        }
        text = report(task, found)
    arguments.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
