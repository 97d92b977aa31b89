"""What held-out folds cost: by a fit for each, as scorers leave them out, and beside extraction.

On one thread, on generated features of 300 images; CPU seconds of scores and, where a scorer has
them, maps of all images.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, processor, table
from scale_work import maps, vectors

from defectbench.evaluation.held_out import folds
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Judged, Scorer, refitted_folds

IMAGES = 300
SHAPES = {
    (512,): (
        "pca_kde",
        "pca_fre",
        "pca_gaussian",
        "nearest_neighbour",
        "mahalanobis",
        "kernel_pca_fre",
    ),
    (112, 32, 32): (
        "pca_fre",
        "mahalanobis",
        "nearest_neighbour",
        "padim",
        "patch_subspace",
        "patchcore",
    ),
}
PARAMETERS: dict[str, dict[str, Any]] = {"patchcore": {"coreset": 0.01}}


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that a piece of work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def all_of(found: Iterable[Judged]) -> int:
    """Go through what is judged; number of images."""
    return sum(len(part.rows) for part in found)


def costs(name: str, X: np.ndarray) -> list[float | None]:
    """Seconds of a fit, of five folds by refits, and of 5, 20 and 300 folds that are left out."""
    scorer: Scorer = scorer_class(name)(**PARAMETERS.get(name, {}))
    with_maps = scorer.localizes and X.ndim == 4
    fit = seconds(lambda: scorer.fit(X))

    def held_out(count: int, way: Callable[..., Iterable[Judged]]) -> float:
        split = folds([""] * len(X), count, seed=42)
        return seconds(lambda: all_of(way(X, split, maps=with_maps)))

    def refitted(X: np.ndarray, split: Sequence[np.ndarray], *, maps: bool) -> Iterable[Judged]:
        return refitted_folds(scorer, X, split, maps=maps)

    counts = (5, 20, len(X)) if not scorer.few_folds else (5, 10)
    left_out = [held_out(count, scorer.held_out) for count in counts]
    return [fit, held_out(5, refitted), *left_out, *[None] * (3 - len(left_out))]


def extraction(n_images: int = IMAGES, side: int = 256, layer: str = "layer2") -> float:
    """Seconds of a ResNet-18's pass over images as far as a layer, without decoding."""
    import torch
    import torchvision

    from defectbench.features.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
    from defectbench.features.extraction import Extractor
    from defectbench.features.feature_file import Tap

    torch.manual_seed(42)
    preprocessing = {"interpolation": "lanczos", "size": side}
    network = torchvision.models.resnet18(weights=None).eval()
    made = Extractor(Backbone(network, IMAGENET_MEAN, IMAGENET_STD), [Tap(layer, 1)], preprocessing)
    made.to(torch.device("cpu"), "fp32", threads=1)
    images = np.random.default_rng(42).integers(0, 256, (n_images, side, side, 3), np.uint8)
    return seconds(lambda: made(images, [Path("generated.png")] * n_images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "benchmark_folds.md")
    arguments = parser.parse_args()
    of_images = extraction()
    rows = []
    for shape, names in SHAPES.items():
        rng = np.random.default_rng(42)
        draw = vectors(rng, *shape) if len(shape) == 1 else maps(rng, *shape)
        X = draw(np.zeros(IMAGES, bool))
        for name in names:
            found = costs(name, X)
            twenty = found[3] if found[4] is not None else None
            figures = ["–" if each is None else f"{each:.2f}" for each in found]
            share = "–" if twenty is None else f"{twenty / of_images:.3f}"
            rows.append([" × ".join(map(str, shape)), name, *figures, share])
    header = ["features", "detector", "fit", "5 refits", "5 folds", "20 folds", "300 folds"]
    header += ["20 folds / extraction"]
    text = (
        f"# What held-out folds cost\n\nMade by `make bench-folds` (tests/bench/folds.py) on "
        f"{processor()}, NumPy {np.__version__}, one thread: CPU seconds for {IMAGES} generated "
        "images, with maps where there are any. A pass of a ResNet-18, as far as its layer 2, "
        f"over as many images of 256×256 took {of_images:.1f} s in the same run. "
        "PatchCore is fitted anew for every fold, "
        "and its third and fourth figures are those of 5 and 10 folds. Nearest neighbour computes "
        "its distances once, for the first folds that are asked for.\n\n"
    )
    arguments.output.write_text(text + table(rows, header) + "\n")
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
