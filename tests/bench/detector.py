"""One image at a time: an exported detector against the workflow's own path through PyTorch.

Both start in a fresh process, in turn, and score the same test images from the file to the verdict,
with the map if the detector has one.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import ask, processor, table

PATHS = ("onnx", "torch")
TITLES = {"onnx": "detector.onnx", "torch": "model.h5, PyTorch"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path, help="results/…/detector.onnx")
    parser.add_argument("--images", type=int, default=100, help="of the test images, spread evenly")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each path")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("reports/detector_benchmark.md"))
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)  # of a child process
    arguments = parser.parse_args()
    if arguments.path:
        print(json.dumps(one_process(arguments)))
        return
    options = ("--images", "--threads")
    given = [str(value) for name in options for value in (name, vars(arguments)[name[2:]])]
    rounds = [
        {
            path: ask("detector.py", str(arguments.detector), *given, "--path", path)
            for path in PATHS
        }
        for _ in range(arguments.rounds)
    ]
    arguments.output.write_text(report(arguments.detector, arguments.threads, rounds))
    print(arguments.output.read_text())


def one_process(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds until a path is ready, imports included; milliseconds of each image; scores."""
    start = time.perf_counter()
    score = {"onnx": onnx_path, "torch": torch_path}[arguments.path](
        arguments.detector, arguments.threads
    )
    ready_seconds = time.perf_counter() - start
    images = some_images(arguments.detector.parent, arguments.images)
    score(images[0])  # the first one is slower
    milliseconds, scores = [], []
    for image in images:
        start = time.perf_counter()
        scores.append(score(image))
        milliseconds.append((time.perf_counter() - start) * 1000)
    return {"ready_seconds": ready_seconds, "milliseconds": milliseconds, "scores": scores}


def onnx_path(file: Path, threads: int) -> Callable[[Path], float]:
    """From an image's file to its score, by the exported detector."""
    from defectbench.deployment.detector import Detector
    from defectbench.images.network_image import decoded_image

    detector = Detector(file, threads)

    def score(image: Path) -> float:
        pixels = decoded_image(image, detector.metadata).pixels
        return float(detector.score(pixels[None]).scores[0])

    return score


def torch_path(file: Path, threads: int) -> Callable[[Path], float]:
    """From an image's file to its score and map, by PyTorch and the scorer itself.

    The threads share each layer, as suits one image; the stage `features` has many.
    """
    import torch

    from defectbench.features.backbones import load_backbone
    from defectbench.features.batch_norm import fold_batch_norm
    from defectbench.features.feature_file import Tap
    from defectbench.features.taps import TappedNetwork
    from defectbench.images.canvas import canvas
    from defectbench.images.network_image import decoded_image
    from defectbench.records import read_specified
    from defectbench.scorers import scorer_class

    torch.set_num_threads(threads)
    arrays, made = read_specified(file.with_name("model.h5"))
    preprocessing, names = made["preprocessing"], made["layers"]
    layers = [name.rsplit("/pool", 1) for name in names]
    taps = [Tap(layer, int(pool)) for layer, pool in layers]
    backbone = load_backbone(file.parent.name, Path("resources/weights", f"{file.parent.name}.pth"))
    folded = fold_batch_norm(backbone.network, taps, canvas(preprocessing))
    network = TappedNetwork(folded.to(memory_format=torch.channels_last), taps)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (backbone.mean, backbone.std))
    scorer = scorer_class(made["scorer"])(**made["parameters"]).from_arrays(arrays)

    def score(image: Path) -> float:
        pixels = decoded_image(image, made).pixels[None]
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
            found = network(batch.sub(mean).div(std))
        X = [found[tap].numpy() for tap in taps]
        X = X if len(X) > 1 else X[0]
        scores = scorer.score_and_map(X)[0] if scorer.localizes else scorer.anomaly_score(X)
        return float(scores[0])

    return score


def some_images(cell: Path, count: int) -> list[Path]:
    """Some of the category's test images, by its index."""
    from defectbench.images.index import read_index

    dataset, category = cell.parts[-4:-2]
    folder = Path("resources", "data", dataset, category)
    rows = [row for row in read_index(cell.parents[1] / "index.tsv") if row.split == "test"]
    count = min(count, len(rows))
    return [folder / rows[k * len(rows) // count].path for k in range(count)]


def report(file: Path, threads: int, rounds: list[dict[str, Any]]) -> str:
    """Medians of the rounds, the ratio of the two paths in each, and how far scores lie apart."""
    rows = []
    for title, figure in (
        ("ready, s, imports included", lambda one: one["ready_seconds"]),
        ("one image, ms, median", lambda one: statistics.median(one["milliseconds"])),
        (
            "one image, ms, 95th percentile",
            lambda one: statistics.quantiles(one["milliseconds"], n=20)[-1],
        ),
    ):
        found = {path: [figure(one[path]) for one in rounds] for path in PATHS}
        ratios = [slow / fast for slow, fast in zip(found["torch"], found["onnx"], strict=True)]
        cells = [f"{statistics.median(found[path]):.3g}" for path in PATHS]
        ratio = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"
        rows.append([title, *cells, ratio])
    ours, theirs = (rounds[0][path]["scores"] for path in PATHS)
    apart = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))
    header = ["", *TITLES.values(), "times as long (lowest–highest round)"]
    return (
        f"# One image at a time\n\n`make bench-detector` on {processor()}: {file}, "
        f"{len(ours)} images, {len(rounds)} rounds in turn, {threads} threads.\n\n"
        f"{table(rows, header)}\n\n"
        f"Largest relative difference of a score: {apart:.1e}\n"
    )


if __name__ == "__main__":
    main()
