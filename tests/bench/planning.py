"""Measure how long Snakemake plans a large grid, and in how much memory, by dry runs."""

import argparse
import csv
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from measuring import ROOT, Usage, measure, processor, table
from PIL import Image

from defectbench.provenance import FACTS

BACKBONES = {
    "resnet18": "layer3",
    "resnet50": "layer3",
    "wide_resnet50_2": "layer3",
    "resnet26.bt_in1k": "layer3",
    "resnet34.a1_in1k": "layer3",
    "resnet10t.c3_in1k": "layer3",
    "resnet14t.c3_in1k": "layer3",
    "resnet26t.ra2_in1k": "layer3",
    "resnet33ts.ra2_in1k": "stages.2",
    "resnet32ts.ra2_in1k": "stages.2",
    "resnet18d.ra2_in1k": "layer3",
    "resnet34d.ra2_in1k": "layer3",
}
SEVERITIES = list(range(-15, 0)) + list(range(1, 16))
STUDIES = {
    "training_size": {"images": [5, 10, 15, 20, 25, "all"]},
    "contamination": {"shares": [0, 0.02, 0.05, 0.1, 0.2]},
    "robustness": {"brightness": SEVERITIES},
}
PARTS = {
    "train/good": "train_good",
    "test/good": "test_good",
    "test/defective": "test_defective",
}
SIDE = 180
"""Of the images in pixels: 97 kB each."""

PROFILE = yaml.safe_load((ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text())
GROUPS = ["--groups", *PROFILE["groups"], "--group-components", *PROFILE["group-components"]]


def write_grid(folder: Path, categories: int, backbones: int, methods: int) -> None:
    """A dataset of empty files, and methods that read the layer that all their backbones have."""
    for number in range(categories):
        for part in ("train/good", "test/good", "test/defective"):
            target = folder / "data" / f"category{number:03}" / part
            target.mkdir(parents=True)
            for image in range(40 if part == "train/good" else 2):
                (target / f"{image:03}.png").touch()
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    names = dict(list(BACKBONES.items())[:backbones])
    config["methods"] = {
        f"fre{number}_{layer.replace('.', '')}": {
            "scorer": "pca_fre",
            "variance": 0.90 + number / 100,
            "layer": layer,
            "pool": 2,
            "preprocessing": "lanczos256",
            "backbones": [name for name, its in names.items() if its == layer],
        }
        for number in range(methods)
        for layer in sorted(set(names.values()))
    }
    config["studies"] = STUDIES
    config["datasets"] = {
        "grid": {
            "source": "folder",
            "path": str(folder / "data"),
            "methods": list(config["methods"]),
        }
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def plan(folder: Path, *arguments: str, report: str = "table") -> tuple[int, Usage]:
    """Number of jobs of a dry run and what planning it took."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    command += ["-n", "--quiet", "rules", *arguments, "--", f"reports/grid_{report}.md"]
    usage = measure(command, folder)
    output = (folder / "output.log").read_text()
    return int(re.findall(r"^total +(\d+)$", output, re.M)[-1]), usage


def write_images(folder: Path) -> int:
    """Photographs of noise, as many as MVTec AD has in each category; how many in all."""
    with open(FACTS / "mvtec_counts.csv", encoding="utf-8", newline="") as stream:
        counts = list(csv.DictReader(stream))
    rng, total = np.random.default_rng(42), 0
    for row in counts:
        for part, key in PARTS.items():
            target = folder / "data" / row["category"] / part
            target.mkdir(parents=True)
            for number in range(int(row[key])):
                pixels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
                Image.fromarray(pixels).save(target / f"{number:03}.png", compress_level=0)
                total += 1
    method = {"scorer": "pca_kde", "layer": "global_pool", "preprocessing": "small"}
    config = {
        "datasets": {
            "grid": {"source": "folder", "path": str(folder / "data"), "methods": ["dfkde"]}
        },
        "preprocessings": {"small": {"interpolation": "bilinear", "size": 64}},
        "methods": {"dfkde": {**method, "components": 16, "backbones": ["efficientnet_lite0"]}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return total


def image_rows() -> Iterator[list[str]]:
    """What planning costs as images are read, looked at, and have results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_images(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*.png")) / 1e6
        for label in ("every image is read", "images are looked at"):
            jobs, usage = plan(folder)
            yield [label, str(images), f"{size:.0f}", str(jobs), f"{usage.wall:.1f}"]
        command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")]
        measure([*command, "-d", str(folder), "--", "reports/grid_table.md"], folder)
        for label in ("all is done: results are looked at", "the same without .snakemake"):
            usage = measure([*command, "-d", str(folder), "-n", "reports/grid_table.md"], folder)
            assert "Nothing to be done" in (folder / "output.log").read_text()
            yield [label, str(images), f"{size:.0f}", "0", f"{usage.wall:.1f}"]
            shutil.rmtree(folder / ".snakemake")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("reports/planning.md"))
    arguments = parser.parse_args()
    rows = []
    for report, categories, backbones, methods in (
        ("table", 15, 3, 2),
        ("studies", 15, 3, 2),
        ("table", 15, 12, 8),
        ("table", 300, 1, 1),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_grid(folder, categories, backbones, methods)
            plan(folder)  # the first one lists the layers of timm's models
            for label, options in (("", []), (", grouped", GROUPS)):
                jobs, usage = plan(folder, *options, report=report)
                grid = f"{categories} × {backbones} × {methods}, {report}{label}"
                per_thousand = (usage.wall * 1000 / jobs, usage.memory * 1000 / jobs)
                rows.append(
                    [
                        grid,
                        str(jobs),
                        f"{usage.wall:.1f}",
                        f"{usage.memory:.0f}",
                        *(f"{value:.1f}" for value in per_thousand),
                    ]
                )
                print(rows[-1], file=sys.stderr)
    header = ["categories × backbones × methods", "jobs", "s", "peak MB", "s / 1000", "MB / 1000"]
    looked_at = list(image_rows())
    text = (
        f"# Planning\n\n`make bench-planning` on {processor()}: dry runs of a dataset of which "
        "nothing is done yet: its table, or training size, contamination and robustness (30 "
        f"severities) of all its detectors.\n\n{table(rows, header)}\n\n"
        "## Images\n\nBy content: of each file size, times and place on the disk are looked at, "
        "and it is read where one of them differs. As many images as MVTec AD has, of noise, "
        "without compression.\n\n"
        f"{table(looked_at, ['what the plan finds', 'images', 'MB', 'jobs', 's'])}\n"
    )
    arguments.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
