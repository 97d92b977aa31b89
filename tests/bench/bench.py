"""Measure this workflow against a plain baseline on the same images, weights and machine.

Baseline and workflow alternate; figures are medians, ratios are taken run by run.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image
from tabulate import tabulate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TAPS = {"resnet18": ("layer3", 256), "efficientnet_b5": ("features.6", 456)}
# in a process of its own: the peak memory of a process counts that of the one that started it
MAKE_WEIGHTS = (
    "import sys, torch; from torchvision.models import get_model; torch.manual_seed(42); "
    "torch.save(get_model(sys.argv[1], weights=None).state_dict(), sys.argv[2])"
)
COUNTS = (("train", "good", 209), ("test", "good", 20), ("test", "defective", 63))


class Usage(NamedTuple):
    """Resources of one finished command and all processes it started."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], folder: Path) -> Usage:
    """Run a command; wall and CPU seconds, and the peak MB of its largest process."""
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    with open(folder / "output.log", "a") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}\n{(folder / 'output.log').read_text()[-3000:]}")
    wall = time.perf_counter() - begin
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_category(folder: Path) -> None:
    """292 PNGs of 900×900, as many and as large as MVTec AD's bottle."""
    rng = np.random.default_rng(42)
    rows, columns = np.mgrid[:900, :900] / 900
    for split, defect, count in COUNTS:
        target = folder / split / defect
        target.mkdir(parents=True)
        for number in range(count):
            ring = np.exp(-(((rows - 0.5) ** 2 + (columns - 0.5) ** 2 - 0.1) ** 2) * 400)
            pixels = ring[..., None] * rng.uniform(120, 200, 3) + rng.normal(0, 3, (900, 900, 3))
            if defect != "good":
                y, x = rng.integers(200, 600, 2)
                pixels[y : y + 90, x : x + 60] += 60
            pixels = pixels.clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(target / f"{number:03}.png", compress_level=6)


def write_config(
    folder: Path, category: Path, weights: Path, backbone: str, precision: str
) -> None:
    layer, side = TAPS[backbone]
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["datasets"] = {
        "bench": {"source": "folder", "path": str(category.parent), "methods": ["fre"]}
    }
    config["categories"] = [category.name]
    config["device"], config["precision"] = "cpu", precision
    config["preprocessings"] = {"lanczos": {"interpolation": "lanczos", "size": side}}
    config["methods"] = {
        "fre": {
            "scorer": "pca_fre",
            "variance": 0.97,
            "layer": layer,
            "pool": 2,
            "preprocessing": "lanczos",
            "backbones": [backbone],
        }
    }
    config["backbones"] = {backbone: {"weights": str(weights)}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def workflow(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "all"]
    return [*command, "-d", str(folder), "reports/bench_table.md"]


def stage_seconds(folder: Path) -> dict[str, float]:
    """Wall time that Snakemake recorded for the extraction, and how much of it is start-up."""
    (category,) = (folder / "benchmarks" / "bench").iterdir()
    seconds = float(json.loads((category / "features.jsonl").read_text())["s"])
    log = folder / "logs" / "bench" / category.name / "features.log"
    done, rate = re.findall(r"/(\d+) images, ([\d.]+) images/s, 0 s left", log.read_text())[-1]
    # importing, loading the weights and leaving, while the first images are decoded
    return {"extract": seconds, "startup": seconds - int(done) / float(rate)}


class Bench:
    """Runs and results for one backbone."""

    def __init__(self, scratch: Path, category: Path, backbone: str, rounds: int) -> None:
        self.scratch, self.category, self.backbone, self.rounds = (
            scratch,
            category,
            backbone,
            rounds,
        )
        self.n_images = count_images(category)
        self.layer, self.side = TAPS[backbone]
        self.weights = scratch / f"{backbone}.pth"
        command = [sys.executable, "-c", MAKE_WEIGHTS, backbone, str(self.weights)]
        subprocess.run(command, check=True)
        self.runs: dict[str, list[Usage]] = {}
        self.stages: dict[str, list[dict[str, float]]] = {}

    def run(self) -> None:
        for _ in range(self.rounds):
            self._baseline()
            for precision in ("fp32", "bf16"):
                self._workflow(precision)

    def script(self, name: str, *extra: str) -> list[str]:
        paths = [str(HERE / name), str(self.category), str(self.weights)]
        network = ["--backbone", self.backbone, "--layer", self.layer, "--side", str(self.side)]
        return [sys.executable, *paths, *network, *extra]

    def floors(self, precision: str) -> dict[str, float]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
        command = self.script("floors.py", "--precision", precision)
        return json.loads(subprocess.check_output(command, env=environment, text=True))

    def _note(self, name: str, usage: Usage) -> None:
        self.runs.setdefault(name, []).append(usage)
        print(f"{self.backbone}, {name}: {usage.wall:.1f} s", file=sys.stderr)

    def _baseline(self) -> None:
        self._note("baseline", measure(self.script("baseline.py"), self.scratch))

    def _workflow(self, precision: str) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        write_config(folder, self.category, self.weights, self.backbone, precision)
        self._note(f"workflow, {precision}", measure(workflow(folder), folder))
        self.stages.setdefault(precision, []).append(stage_seconds(folder))
        if precision == "fp32":
            config = yaml.safe_load((folder / "config.yaml").read_text())
            config["methods"]["fre"]["variance"] = 0.95
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            self._note("changed parameter", measure(workflow(folder), folder))
            config["methods"]["kde"] = config["methods"]["fre"] | {"scorer": "pca_kde"}
            config["methods"]["kde"] |= {"components": 16}
            del config["methods"]["kde"]["variance"]
            config["datasets"]["bench"]["methods"].append("kde")
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            self._note("second method", measure(workflow(folder), folder))
            self._note("nothing to do", measure(workflow(folder), folder))
        shutil.rmtree(folder)

    def comparison(self) -> str:
        rows = []
        for name, usages in self.runs.items():
            ratios = [b.wall / u.wall for b, u in zip(self.runs["baseline"], usages, strict=True)]
            wall, cpu, memory = (statistics.median(column) for column in zip(*usages, strict=True))
            rate = self.n_images / wall if name.startswith(("baseline", "workflow")) else None
            rows.append(
                [
                    name,
                    f"{wall:.1f}",
                    f"{cpu:.1f}",
                    f"{memory:.0f}",
                    "" if rate is None else f"{rate:.1f}",
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
                ]
            )
        header = ["run", "wall s", "CPU s", "peak MB", "images/s", "times faster than the baseline"]
        return tabulate(rows, header, "github", disable_numparse=True)

    def limits(self) -> str:
        rows, bounds = [], []
        for precision, stages in self.stages.items():
            floors = self.floors(precision)
            bounds.append(self._bound(precision, floors))
            floor = floors["decode"] + floors["forward"]
            seconds, startup = (
                statistics.median(entry[key] for entry in stages) for key in ("extract", "startup")
            )
            rows.append(
                [
                    f"extract, {precision}",
                    f"{floor:.1f}",
                    f"{self.n_images / floor:.1f}",
                    f"{seconds:.1f}",
                    f"{startup:.1f}",
                    f"{seconds / floor:.2f}",
                ]
            )
        header = [
            "stage",
            "alone s",
            "alone images/s",
            "stage s",
            "of it start-up s",
            "stage / alone",
        ]
        return "\n\n".join([tabulate(rows, header, "github", disable_numparse=True), *bounds])

    def _bound(self, precision: str, floors: dict[str, float]) -> str:
        """How fast this workflow could be if it cost nothing beside what it is made of."""
        baseline, idle = (
            statistics.median(usage.wall for usage in self.runs[name])
            for name in ("baseline", "nothing to do")
        )
        least = idle + sum(floors.values())
        return (
            f"Snakemake with nothing to do {idle:.1f} s, import and load of the network "
            f"{floors['startup']:.1f} s, both stages alone "
            f"{floors['decode'] + floors['forward']:.1f} s: in {precision}, with nothing else, "
            f"{baseline / least:.2f} times faster than the baseline."
        )


def grid(scratch: Path) -> str:
    """Light stages of 15 categories × 4 backbones × 2 methods, on small given features."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    features = folder / "features"
    features.mkdir()
    rng = np.random.default_rng(42)
    for number in range(15):
        y = np.repeat([0, 1], [80, 40])
        split = np.repeat(["train", "test"], [60, 60])
        X = rng.normal(size=(120, 64)) + y[:, None]
        np.savez(features / f"category{number:02}.npz", X=X, y=y, split=split)
    given = {"layer": "-", "preprocessing": "lanczos256", "backbones": ["resnet18"]}
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["methods"] = {}
    for backbone in range(4):
        config["methods"][f"dfkde{backbone}"] = {"scorer": "pca_kde", "components": 16, **given}
        config["methods"][f"fre{backbone}"] = {"scorer": "pca_fre", **given}
    config["datasets"] = {
        "bench": {"source": "features", "path": str(features), "methods": [*config["methods"]]}
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    usage = measure(workflow(folder), folder)
    jobs = 15 + 3 * 120 + 1
    return (
        f"{jobs} jobs: {usage.wall:.0f} s wall, {usage.cpu:.0f} s CPU, Snakemake included: "
        f"**{usage.cpu / jobs:.2f} s CPU and {usage.wall / jobs:.2f} s wall per job**."
    )


def count_images(category: Path) -> int:
    return sum(1 for _ in category.glob("t*/*/*.png"))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--category", type=Path, help="in the MVTec layout; default: generated")
    parser.add_argument("--backbones", nargs="+", choices=TAPS, default=["resnet18"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("reports/benchmark.md"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        category = arguments.category and arguments.category.resolve()
        if category is None:
            category = scratch / "generated" / "ring"
            make_category(category)
        sections = [
            "# Benchmark",
            f"`make bench` on {len(os.sched_getaffinity(0))} cores of {processor()}, torch "
            f"{version('torch')}. FRE on one category of {count_images(category)} images, from "
            f"PNG to table; medians of {arguments.rounds} alternating runs, ratios run by run with "
            "their range. The baseline fits and scores; the workflow also cross-validates a "
            "threshold, bootstraps intervals and stores every stage. Peak MB is the largest "
            "process. GPU: not measured.",
        ]
        for backbone in arguments.backbones:
            bench = Bench(scratch, category, backbone, arguments.rounds)
            bench.run()
            sections += [f"## {backbone}", bench.comparison(), bench.limits()]
        sections += ["## Light stages: 15 categories × 4 backbones × 2 methods", grid(scratch)]
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text("\n\n".join(sections) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
