"""Run commands in turn; wall and CPU seconds and memory of each, and tables of them."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tabulate import tabulate

ROOT = Path(__file__).parents[2]


class Usage(NamedTuple):
    """Resources of one finished command and all processes it started."""

    wall: float
    cpu: float
    memory: float


def measure(command: Sequence[str], folder: Path, root: Path = ROOT) -> Usage:
    """Run a command; wall and CPU seconds, and the peak MB of its largest process.

    Parameters
    ----------
    command, folder
        What to run, and where.
    root
        Checkout whose package the command imports.
    """
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(root / "workflow" / "scripts")}
    with open(folder / "output.log", "a") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}\n{(folder / 'output.log').read_text()[-3000:]}")
    wall = time.perf_counter() - begin
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def ask(script: str, *arguments: str, root: Path = ROOT) -> dict[str, Any]:
    """What a script beside this one prints as JSON."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    environment = os.environ | {"PYTHONPATH": str(root / "workflow" / "scripts")}
    return json.loads(subprocess.check_output(command, env=environment, text=True))


@dataclass(frozen=True)
class Project:
    """A checkout of this project.

    Attributes
    ----------
    name
        In the tables.
    root
        Its folder.
    """

    name: str
    root: Path

    def run(self, folder: Path, config: Mapping[str, Any], cores: str) -> Usage:
        """Bring the dataset ``bench`` of a config up to date in a folder."""
        (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
        command = [sys.executable, "-m", "snakemake", "-s", str(self.root / "Snakefile")]
        command += ["--cores", cores, "-d", str(folder), "--", "reports/bench_table.md"]
        return measure(command, folder, self.root)

    def cold(self, scratch: Path, config: Mapping[str, Any], cores: str) -> Usage:
        """The same in an empty folder, which is removed."""
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            return self.run(Path(name), config, cores)


def other_project(root: Path) -> Project:
    """Checkout to compare with, named by its commit."""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Project(done.stdout.strip() or root.name, root.resolve())


def alternate(rounds: int, runs: Mapping[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Results by name: every round runs all, and every second round in reverse."""
    found: dict[str, list[Any]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            begin = time.perf_counter()
            found[name].append(runs[name]())
            print(f"{name}: {time.perf_counter() - begin:.1f} s", file=sys.stderr)
    return found


def comparison(usages: Mapping[str, Sequence[Usage]], references: Sequence[str]) -> str:
    """Table of medians and ranges; ratios are taken round by round."""
    rows = [
        [
            name,
            spread([usage.wall for usage in found], 1),
            spread([usage.cpu for usage in found], 1),
            f"{statistics.median(usage.memory for usage in found):.0f}",
            *(times_faster(usages[reference], found) for reference in references),
        ]
        for name, found in usages.items()
    ]
    header = ["run", "wall s", "CPU s", "peak MB"]
    return table(rows, [*header, *(f"times faster than {name}" for name in references)])


def times_faster(reference: Sequence[Usage], found: Sequence[Usage]) -> str:
    """Median and range of the ratios of wall time."""
    return spread([a.wall / b.wall for a, b in zip(reference, found, strict=True)], 2)


def spread(values: Sequence[float], digits: int) -> str:
    """Median, and the range of more than one value."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """In the report's format."""
    return tabulate(rows, header, "github", disable_numparse=True)


def stage_seconds(folder: Path) -> dict[str, float]:
    """CPU seconds by rule, as Snakemake recorded them; it samples, and may miss short jobs."""
    found: dict[str, float] = {}
    for file in folder.glob("benchmarks/**/*.jsonl"):
        record = json.loads(file.read_text().splitlines()[-1])
        rule = record.get("rule_name", file.stem)
        seconds = record["cpu_time"]
        found[rule] = found.get(rule, 0.0) + (seconds if isinstance(seconds, float | int) else 0.0)
    return found


def processor() -> str:
    """Name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
