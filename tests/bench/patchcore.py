"""PatchCore on given features: processor time and memory against a textbook selection and anomalib.

Each measurement runs on one thread in a process of its own, so that its peak memory is its own.
The textbook renews the distance of every patch after each choice, and so does anomalib: each choice
takes the same time, of which some are measured and the rest is extrapolated.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.ndimage  # noqa: F401  (imports are not to be timed)
import sklearn.random_projection  # noqa: F401
from measuring import processor, table

from defectbench.images.index import read_index
from defectbench.scorers.coreset import random_projection
from defectbench.scorers.grids import patch_features
from defectbench.scorers.patchcore import Patchcore
from defectbench.storage import open_h5, write_text

GROUP, LAYERS = "lanczos256/resnet18", ("layer2/pool1", "layer3/pool1")
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
CORESET, SEED = 0.1, 42
FIT, SCORE = "fit, s", "score and map, ms per image"
REPORT = Path("reports/patchcore_benchmark.md")


def split_features(category: Path, folder: Path, most: int | None) -> dict[str, int]:
    """Write each layer's features of training and test images; the numbers of images."""
    splits = np.array([row.split for row in read_index(category / "index.tsv")])
    images = {}
    for split in ("train", "test"):
        rows = np.flatnonzero(splits == split)[:most]
        images[split] = len(rows)
        with open_h5(category / "features.h5") as file:
            for number, layer in enumerate(LAYERS):
                np.save(folder / f"{split}_{number}.npy", file[GROUP][layer][rows])
    return images


def read(folder: Path, split: str) -> list[np.ndarray]:
    return [np.load(file) for file in sorted(folder.glob(f"{split}_*.npy"))]


def fit(folder: Path) -> dict:
    """This project's memory, which is kept for scoring."""
    layers = read(folder, "train")
    start = time.process_time()
    scorer = Patchcore(coreset=CORESET, seed=SEED).fit(layers)
    seconds = time.process_time() - start
    np.save(folder / "memory.npy", scorer.memory_)
    return {"seconds": seconds, "choices": len(scorer.memory_)}


def score(folder: Path) -> dict:
    """Scores and maps of the test images by that memory."""
    layers, scorer = read(folder, "test"), Patchcore()
    scorer.memory_ = np.load(folder / "memory.npy")
    start = time.process_time()
    scores, _ = scorer.score_and_map(layers)
    seconds = time.process_time() - start
    return {"ms_per_image": 1000 * seconds / len(scores), "scores": scores.tolist()}


def textbook(folder: Path, choices: int) -> dict:
    """The first choices of the same selection, every distance renewed after each."""
    layers = read(folder, "train")
    start = time.process_time()
    maps = patch_features(layers, neighbourhood=True)
    patches = maps.reshape(-1, maps.shape[-1])
    projection = random_projection(patches.shape[1], len(patches), SEED)
    points = patches.copy() if projection is None else patches @ projection.T
    points -= points.mean(axis=0)
    norms = np.einsum("ij,ij->i", points, points)
    prepared = time.process_time()
    chosen = [int(np.random.default_rng(SEED).integers(len(patches)))]
    nearest = np.full(len(points), np.inf, np.float32)
    while len(chosen) < choices:
        distances = norms + norms[chosen[-1]] - 2 * (points @ points[chosen[-1]])
        np.minimum(nearest, distances, out=nearest)
        nearest[chosen[-1]] = -1
        chosen.append(int(nearest.argmax()))
    end = time.process_time()
    own = np.load(folder / "memory.npy", mmap_mode="r")[:choices]
    same = {row.tobytes() for row in patches[chosen]} & {row.tobytes() for row in own}
    return {
        "before": prepared - start,
        "each": (end - prepared) / (choices - 1),
        "same": len(same),
    }


def run_step(step: str, folder: Path, choices: int) -> None:
    """Print what one measurement found, and its peak memory in GB, as JSON."""
    found = {
        "fit": lambda: fit(folder),
        "score": lambda: score(folder),
        "textbook": lambda: textbook(folder, choices),
    }[step]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(found | {"peak": peak}))


def ask(python: str, script: str, *arguments: object) -> dict:
    """What a script beside this one prints as JSON, on one thread."""
    command = [python, str(Path(__file__).with_name(script)), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(done.stdout.splitlines()[-1])


def row(what: str, way: str, cost: float, found: dict) -> list[str]:
    return [what, way, f"{float(f'{cost:.3g}'):,g}", f"{found['peak']:.2f}"]


def this_project(folder: Path, choices: int) -> tuple[list[list[str]], str, dict]:
    """Rows of this project and the textbook, how their choices agree, and what was found."""
    own, scored, book = (
        ask(sys.executable, Path(__file__).name, folder, "--step", step, "--choices", choices)
        for step in ("fit", "score", "textbook")
    )
    in_all = book["before"] + book["each"] * (own["choices"] - 1)
    rows = [
        row(FIT, "this project", own["seconds"], own),
        row(FIT, "textbook, extrapolated", in_all, book),
        row(SCORE, "this project", scored["ms_per_image"], scored),
    ]
    note = f"Of the textbook's first {choices} choices {book['same']} are among as many of ours."
    return rows, note, {"choices": own["choices"], "scores": scored["scores"]}


def anomalib(python: str, folder: Path, choices: int, own: dict) -> tuple[list[list[str]], str]:
    """Rows of anomalib's model, and how its scores by our memory agree with ours."""
    script = "anomalib_patchcore.py"
    few, many = (ask(python, script, folder, "--fit", number) for number in (1, choices))
    each = (many["seconds"] - few["seconds"]) / (choices - 1)
    scored = ask(python, script, folder)
    version = scored["versions"]
    rows = [
        row(FIT, f"{version}, extrapolated", few["seconds"] + each * (own["choices"] - 1), many),
        row(SCORE, version, scored["ms_per_image"], scored),
    ]
    apart = np.abs(np.divide(scored["scores"], own["scores"]) - 1).max()
    return rows, f"anomalib's scores by our memory are within {apart:.0e} of ours (relative)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path, help="results/{dataset}/{category}, with features")
    parser.add_argument("--anomalib", metavar="PYTHON", help="of an environment that has it")
    parser.add_argument("--images", type=int, help="at most so many of each split, for a trial")
    parser.add_argument("--choices", type=int, default=500, help="of the other selections")
    parser.add_argument("--step", choices=("fit", "score", "textbook"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    choices = arguments.choices
    if arguments.step:
        run_step(arguments.step, arguments.category, choices)
        return
    with tempfile.TemporaryDirectory() as name:
        images = split_features(arguments.category, Path(name), arguments.images)
        rows, agreement, own = this_project(Path(name), choices)
        notes = [agreement]
        if arguments.anomalib:
            theirs, note = anomalib(arguments.anomalib, Path(name), choices, own)
            rows, notes = sorted(rows + theirs, key=lambda each: each[0]), [agreement, note]
    header = ["what", "by", "processor time", "peak memory, GB"]
    text = f"""# PatchCore: time and memory

{images["train"]} training and {images["test"]} test images of {arguments.category.name}, layers 2
and 3 of a ResNet-18 at 256×256; coreset of {CORESET:.0%}, {own["choices"]} patches. One thread of
{processor()}, NumPy {np.__version__}; peak memory with the features and all libraries that are
imported. Made by `make bench-patchcore CATEGORY=…` (tests/bench/patchcore.py). The other selections
renew all distances after each choice, so that each takes the same time: {choices} choices were
measured, the rest is extrapolated.

{table(rows, header)}

{" ".join(notes)}
"""
    write_text(REPORT, text)
    print(text)
    if not arguments.anomalib:
        print("anomalib was left out: name the Python of an environment that has it, --anomalib")


if __name__ == "__main__":
    main()
