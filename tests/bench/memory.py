"""Memory that the jobs of finished runs asked for, beside what they used: the demo, a category."""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from inputs import make_weights
from measuring import ROOT, measure, processor

from defectbench.reports.costs import finished_jobs, usage_table, used_share

SIDE = 512
LAYERS = ["layer1", "layer2", "layer3"]


def category_config(category: Path, weights: Path) -> dict[str, Any]:
    """Four detectors on a category at a large size."""
    methods = {
        "dfkde": {"scorer": "pca_kde", "components": 16, "layer": "avgpool"},
        "fre": {"scorer": "pca_fre", "variance": 0.97, "layer": "layer3", "pool": 2},
        "padim": {"scorer": "padim", "channels": 100, "layers": LAYERS},
        "patchcore": {"scorer": "patchcore", "coreset": 0.01, "layers": LAYERS[1:]},
    }
    shared = {"preprocessing": "large", "backbones": ["resnet18"]}
    dataset = {"source": "folder", "path": str(category.parent), "methods": list(methods)}
    return {
        "device": "cpu",
        "categories": [category.name],
        "datasets": {"large": dataset},
        "preprocessings": {"large": {"interpolation": "lanczos", "size": SIDE}},
        "methods": {name: method | shared for name, method in methods.items()},
        "backbones": {"resnet18": {"weights": str(weights)}},
    }


def run(folder: Path, config: Mapping[str, Any], dataset: str) -> None:
    """Table and page of a dataset, in an empty folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    reports = [f"reports/{dataset}_table.md", f"reports/{dataset}.html"]
    measure([*command, "--cores", "all", "--", *reports], folder)


def usage(title: str, folder: Path) -> str:
    """Section on all jobs that have run in a folder; those that used too much are named."""
    jobs = finished_jobs(folder / "benchmarks", folder / "logs")
    if not jobs:
        sys.exit(f"{folder}: holds no benchmarks/**/*.jsonl of a finished run")
    beyond = [f"{job['rule_name']} {job.get('wildcards')}" for job in jobs if used_share(job) >= 1]
    end = "".join(f"\nUsed more than it asked for: {name}\n" for name in beyond)
    return f"## {title}\n\n{usage_table(jobs)}\n{end}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="print the table of a run in this folder alone")
    parser.add_argument("--category", type=Path, help="run this one, too, at 512 pixels")
    parser.add_argument("--output", type=Path, default=Path("reports/memory.md"))
    arguments = parser.parse_args()
    if arguments.run:
        print(usage(str(arguments.run), arguments.run))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder, yaml.safe_load((ROOT / "config.yaml").read_text()), "elpv")
        sections = [usage("Demo", folder)]
    if arguments.category:
        category = arguments.category.resolve()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            weights = make_weights(folder, ["resnet18"])["resnet18"]
            run(folder, category_config(category, weights), "large")
            sections.append(usage(f"{category.name} at {SIDE} pixels", folder))
    text = f"# Memory asked for and used\n\n`make bench-memory` on {processor()}; MB.\n\n"
    text += "\n".join(sections)
    arguments.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
