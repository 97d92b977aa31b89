"""The real Snakefile in folders of a test's own."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TABLE, PAGE, USAGE = "reports/parts_table.md", "reports/parts.html", "reports/parts_usage.md"
DEADLINE = 1800
"""Seconds after which a run is given up: it hangs, however slow the machine is."""
IMPORT = f"""
configfile: "config.yaml"

module defectbench:
    snakefile: "{ROOT / "workflow" / "Snakefile"}"
    config: config
"""


def reports(folder: Path) -> dict[str, bytes]:
    """Content of all that a finished run reports."""
    names = ("parts_table.md", "parts_table.csv", "parts_details.md")
    return {name: (folder / "reports" / name).read_bytes() for name in names}


def said(run: subprocess.CompletedProcess[str]) -> str:
    return run.stdout + run.stderr


def spoken(text: str) -> list[str]:
    """Lines on the terminal, without those that Snakemake says before it reads the workflow."""
    before = ("Using ", "Assuming ", "Config file")
    return [line for line in text.splitlines() if not line.startswith(before)]


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the table below a heading of a report, without those of other headings."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def write_config(folder: Path, dataset: Path, **changes: object) -> None:
    config = {
        "device": "cpu",
        "datasets": {
            "parts": {
                "source": "folder",
                "path": str(dataset),
                "methods": ["dfkde_small", "fre_small"],
            }
        },
        "preprocessings": {"lanczos64": {"interpolation": "lanczos", "size": 64}},
        "methods": {
            "dfkde_small": {
                "scorer": "pca_kde",
                "components": 4,
                "layer": "global_pool",
                "preprocessing": "lanczos64",
                "backbones": ["efficientnet_lite0"],
            },
            "fre_small": {
                "scorer": "pca_fre",
                "layer": "blocks.3",
                "pool": 2,
                "preprocessing": "lanczos64",
                "backbones": ["efficientnet_lite0"],
            },
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))


@contextlib.contextmanager
def edited_config(folder: Path) -> Iterator[dict]:
    """The config of a run, to be changed within the block."""
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    yield config
    path.write_text(yaml.safe_dump(config))


def snakemake_command(folder: Path, *arguments: str) -> list[str]:
    """Command that runs the project's Snakefile in a folder with a config of its own."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "2"]
    return [*command, "-d", str(folder), *arguments]


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's Snakefile to the end."""
    command = snakemake_command(folder, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)


def run_importing(folder: Path, rules: str, *arguments: str) -> str:
    """What a run of a user's own workflow says, which imports this one and has some rules."""
    (folder / "Snakefile").write_text(IMPORT + rules)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)
    assert run.returncode == 0, said(run)
    return said(run)


def checked(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """What `make check` runs."""
    script = ROOT / "workflow" / "scripts" / "check_datasets.py"
    command = [sys.executable, str(script), *settings]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)


def planned_jobs(folder: Path, *arguments: str) -> dict[str, int]:
    """Number of jobs per rule that a dry run announces."""
    run = snakemake(folder, "--dry-run", *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout + run.stderr, flags=re.M))
    jobs.pop("total", None)
    return {rule: int(count) for rule, count in jobs.items()}


@contextlib.contextmanager
def mounted(folder: Path, options: str = "size=64m") -> Iterator[None]:
    """A small file system of its own in place of a folder, where that is permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "defectbench-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
