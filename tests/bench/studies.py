"""Measure what the studies of the demo's images take: jobs, points, wall and CPU seconds."""

import argparse
import csv
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from measuring import ROOT, Usage, measure, processor, table

METHODS = ("dfkde", "fre", "pca_gaussian", "mahalanobis", "nearest_neighbour")
REPORT = "reports/elpv_studies.md"
HEADER = ("study", "jobs", "points", "wall s", "CPU s", "CPU s per point", "planning s")


def configure(folder: Path, categories: Sequence[str], methods: Sequence[str], study: str) -> None:
    """The project's config with some detectors and a single study."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["categories"] = list(categories)
    config["datasets"]["elpv"]["methods"] = [f"{name}_lite0" for name in methods]
    config["studies"] = {study: config["studies"][study]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def run(folder: Path, *arguments: str) -> tuple[Usage, str]:
    """What a run took, and what it printed."""
    log = folder / "output.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    usage = measure([*command, "--cores", "all", *arguments], folder)
    return usage, log.read_text()


def points(folder: Path) -> int:
    """Detectors fitted or judged: repeats of all points of all detectors and categories."""
    with open(folder / REPORT.replace(".md", ".csv"), newline="") as stream:
        return sum(int(row["repeats"]) for row in csv.DictReader(stream))


def row(folder: Path, study: str) -> list[str]:
    """A study's row of the table; all that it reads is there."""
    planning, plan = run(folder, "--dry-run", "--quiet", "rules", "--", REPORT)
    jobs = int(re.findall(r"^total +(\d+)$", plan, re.M)[-1])
    usage, _ = run(folder, "--", REPORT)
    found = points(folder)
    figures = (usage.wall, usage.cpu, usage.cpu / found, planning.wall)
    return [study, str(jobs), str(found), *(f"{figure:.2f}" for figure in figures)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("reports/studies_cost.md"))
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--categories", nargs="+", default=["monocrystalline", "polycrystalline"])
    arguments = parser.parse_args()
    studies = yaml.safe_load((ROOT / "config.yaml").read_text())["studies"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for study in studies:
            configure(folder, arguments.categories, arguments.methods, study)
            if not rows:
                run(folder, "--", "reports/elpv_table.md")  # features and models, which all read
            rows.append(row(folder, study))
            print(rows[-1], file=sys.stderr)
    text = (
        f"# What studies take\n\n`make bench-studies` on {processor()}: solar cells of "
        f"{' and '.join(arguments.categories)}, detectors {', '.join(arguments.methods)} on "
        "EfficientNet-Lite0, features and models already there. A point is one repeat of one "
        "detector on one category; seconds include Snakemake's own and the report's.\n\n"
        f"{table(rows, HEADER)}\n"
    )
    arguments.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
