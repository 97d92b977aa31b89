"""One image at a time: an exported detector against its graph without a process of its own, and
against the workflow's own path through PyTorch.

All start in a fresh process, in turn, and score the same test images from the file to the verdict,
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

TITLES = {
    "onnx": "detector.onnx",
    "direct": "its graph in our process",
    "torch": "model.h5, PyTorch",
}
PATHS = tuple(TITLES)


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
    paths = {"onnx": onnx_path, "direct": direct_path, "torch": torch_path}
    score = paths[arguments.path](arguments.detector, arguments.threads)
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


def direct_path(file: Path, threads: int) -> Callable[[Path], float]:
    """The same without a process of its own: what isolation costs is what this one spares."""
    import onnxruntime

    from defectbench.deployment.detector_file import KEY, read_sealed
    from defectbench.deployment.graph_process import session_options
    from defectbench.deployment.metadata import parse_metadata
    from defectbench.features.allocator import keep_freed_memory
    from defectbench.images.network_image import decoded_image

    keep_freed_memory()
    content, _ = read_sealed(file)
    options = session_options(threads, gives_way=False)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    metadata = parse_metadata(session.get_modelmeta().custom_metadata_map[KEY])

    def score(image: Path) -> float:
        pixels = decoded_image(image, metadata).pixels
        return float(session.run(None, {"images": pixels[None]})[0][0])

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
    return [folder / rows[k * len(rows) // count].file for k in range(count)]


def compared(values: list[float], reference: list[float]) -> str:
    """Median, and of another path its ratio to the reference of the same round."""
    median = f"{statistics.median(values):.3g}"
    if values is reference:
        return median
    ratios = [value / other for value, other in zip(values, reference, strict=True)]
    return f"{median} ({min(ratios):.2f}–{max(ratios):.2f})"


def report(file: Path, threads: int, rounds: list[dict[str, Any]]) -> str:
    """Medians of the rounds, each with its ratio to the detector, and how far scores lie apart."""
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
        rows.append([title, *(compared(found[path], found["onnx"]) for path in PATHS)])
    ours, *others = (rounds[0][path]["scores"] for path in PATHS)
    apart = max(abs(a - b) / abs(b) for theirs in others for a, b in zip(ours, theirs, strict=True))
    header = ["", *TITLES.values()]
    return (
        f"# One image at a time\n\n`make bench-detector` on {processor()}: {file}, "
        f"{len(ours)} images, {len(rounds)} rounds in turn, {threads} threads.\n\n"
        f"{table(rows, header)}\n\n"
        "In brackets how many times as long as detector.onnx, lowest and highest round.\n\n"
        f"Largest relative difference of a score: {apart:.1e}\n"
    )


if __name__ == "__main__":
    main()
