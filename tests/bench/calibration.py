"""What a calibration does: a detector of bottles on brighter bottles, before and after it.

A detector learns from 140 good images of MVTec AD's bottle. All other images are made brighter;
`calibrate.py` sets the threshold on 40 of the good ones, `score_folder.py` judges the others.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from measuring import ROOT, measure, processor, table
from PIL import Image, ImageEnhance

from defectbench.deployment.calibration import far_off
from defectbench.evaluation.promises import Asked, promise
from defectbench.evaluation.rates import rate_interval

METHODS, BACKBONE = ("fre_lite0", "patch_subspace_lite0"), "efficientnet_lite0"
TRAIN, CALIBRATION, BRIGHTER, SEED, CHOICES = 140, 40, (10, 20), 42, 1000
FOLDERS = ("calibration", "good", "defective")
HEADER = [
    "detector", "brighter by", "threshold", "good called defective", "over 1,000 choices",
    "defects found", "one defect among the 40 suspected",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path, help="folder of the category, MVTec AD's bottle")
    parser.add_argument("--python", default=sys.executable, help="that runs the two scripts")
    parser.add_argument("--output", type=Path, default=Path("reports/calibration.md"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learnt, others = split(arguments.category)
        detectors = export(arguments.category.resolve(), learnt, folder)
        rows = []
        for percent in BRIGHTER:
            brighten(others, arguments.category, percent, folder / str(percent))
            for detector in detectors:
                rows.append(row(arguments.python, detector, folder / str(percent)))
    text = (
        f"# A threshold set anew\n\n`make bench-calibration` on {processor()}.\n\n"
        f"{table(rows, HEADER)}\n"
    )
    arguments.output.write_text(text)
    print(text)


def split(category: Path) -> tuple[list[Path], list[Path]]:
    """Good images to learn from, and all other good ones, of the training and the test images."""
    train = sorted((category / "train" / "good").iterdir())
    order = np.random.default_rng(SEED).permutation(len(train))
    others = [train[row] for row in order[TRAIN:]] + sorted((category / "test/good").iterdir())
    return [train[row] for row in order[:TRAIN]], others


def export(category: Path, learnt: Sequence[Path], folder: Path) -> list[Path]:
    """Detectors of the category that have learnt from these images alone."""
    copy = folder / "data" / category.name
    (copy / "train" / "good").mkdir(parents=True)
    for path in learnt:
        (copy / "train" / "good" / path.name).symlink_to(path.resolve())
    for name in ("test", "ground_truth"):
        (copy / name).symlink_to(category / name)
    dataset = {"source": "folder", "path": str(copy.parent), "methods": list(METHODS)}
    config = folder / "my.yaml"
    config.write_text(yaml.safe_dump({"categories": [category.name], "datasets": {"b": dataset}}))
    cells = [Path("results/b", category.name, method, BACKBONE) for method in METHODS]
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    command += ["--cores", "all", "--configfile", str(config), "--"]
    measure([*command, *(str(cell / "detector.onnx") for cell in cells)], folder)
    return [folder / cell / "detector.onnx" for cell in cells]


def brighten(good: Sequence[Path], category: Path, percent: int, folder: Path) -> None:
    """Write brighter images: 40 good ones, the other good ones, and all defective ones."""
    test = sorted((category / "test").glob("*/*.png"))
    defective = [path for path in test if path.parent.name != "good"]
    order = np.random.default_rng(SEED).permutation(len(good))
    parts = ([good[row] for row in order[:CALIBRATION]], [good[row] for row in order[CALIBRATION:]])
    for name, files in zip(FOLDERS, (*parts, defective), strict=True):
        for path in files:
            target = folder / name / path.parent.parent.name / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as image:
                brighter = ImageEnhance.Brightness(image.convert("RGB")).enhance(1 + percent / 100)
            brighter.save(target, compress_level=1)


def row(python: str, detector: Path, folder: Path) -> list[str]:
    """One row of the table: a detector on images of one brightness."""
    calibrated = folder / detector.parts[-3] / "calibrated.onnx"
    script(
        python, "calibrate.py", detector, folder / "calibration", "--output", calibrated, "--yes"
    )
    before, after = (
        {name: judged(python, which, folder / name) for name in FOLDERS}
        for which in (detector, calibrated)
    )
    thresholds = " → ".join(f"{found['good'][1]:.4g}" for found in (before, after))
    rates = {name: " → ".join(share(*found[name]) for found in (before, after)) for name in FOLDERS}
    good = np.concatenate([before[name][0] for name in ("calibration", "good")])
    parts, defective = before["calibration"][0], before["defective"][0]
    suspected = np.mean([far_off(-np.sort(-np.append(parts[1:], bad))) for bad in defective])
    return [
        detector.parts[-3],
        f"{folder.name} %",
        thresholds,
        rates["good"],
        f"{over_choices(good):.1%}",
        rates["defective"],
        f"{suspected:.0%}",
    ]


def judged(python: str, detector: Path, images: Path) -> tuple[np.ndarray, float]:
    """Scores of a folder's images, and the threshold they are held against."""
    output = images.parent / "scores"
    script(python, "score_folder.py", detector, images, "--output", output, "--overwrite")
    with open(output / "scores.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([float(row["score"]) for row in rows]), float(rows[0]["threshold"])


def script(python: str, name: str, *arguments: str | Path) -> None:
    command = [python, ROOT / "workflow" / "scripts" / name, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, env=environment, check=True)


def share(scores: np.ndarray, threshold: float) -> str:
    """Share of images that reach a threshold, with its interval."""
    found = float(np.mean(scores >= threshold))
    low, high = rate_interval(found, len(scores))
    return f"{found:.0%} ({low:.0%}–{high:.0%})"


def over_choices(scores: np.ndarray) -> float:
    """Of the others, how many are called defective after a calibration on 40, on average."""
    rng, rates = np.random.default_rng(SEED), []
    for _ in range(CHOICES):
        order = rng.permutation(scores)
        threshold = promise(order[:CALIBRATION], [""] * CALIBRATION, Asked(0.05))["threshold"]
        rates.append(np.mean(order[CALIBRATION:] >= threshold))
    return float(np.mean(rates))


if __name__ == "__main__":
    main()
