"""What a process of the PatchCore benchmark does: generate maps, select, judge, search, extract.

The checkout on ``PYTHONPATH`` may be an older one for `select`, which asks little of it. What a
step finds is printed as JSON; seconds are of processor time.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage  # noqa: F401  (imports are not to be timed)
import sklearn.random_projection  # noqa: F401

from defectbench import progress
from defectbench.provenance import peak_memory_mb
from defectbench.scorers.patchcore import Patchcore

CAUSES = 32
"""Independent causes of the features at a place; the variance of the j-th is 1 / j."""

GRIDS = {8: 1.0, 32: 0.3}
"""Causes change smoothly between so many places in a row, by so much."""

SEED = 42


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a piece of work takes, and what it gives."""
    begin = time.process_time()
    found = work()
    return time.process_time() - begin, found


def generate(folder: str, train: int, test: int, shapes: Sequence[Sequence[int]]) -> dict:
    """Write layers of training and test images, of which every second test image has a defect.

    All layers have the same causes, which are smooth over the image and partly the same in all
    images; values below 0 become 0 as in a network.
    """
    rng = np.random.default_rng(SEED)
    draw = images_of(rng, shapes)
    for split, count in (("train", train), ("test", test)):
        layers = [np.empty((count, *shape), np.float32) for shape in shapes]
        for number in range(count):
            made = draw(split == "test" and number % 2 == 1)
            for layer, image in zip(layers, made, strict=True):
                layer[number] = image
        for number, layer in enumerate(layers):
            np.save(Path(folder, f"{split}_{number}.npy"), layer)
    return {}


def images_of(
    rng: np.random.Generator, shapes: Sequence[Sequence[int]]
) -> Callable[[bool], list[np.ndarray]]:
    """Function that draws one image's layers, with or without a defect."""
    from defectbench.scorers.grids import bilinear

    scales = (1 / np.arange(1, CAUSES + 1)) ** 0.5
    mixing = [(scales * rng.standard_normal((shape[0], CAUSES))).astype("f4") for shape in shapes]
    usual = rng.standard_normal((CAUSES, 8, 8)).astype(np.float32)
    aside = rng.standard_normal((CAUSES, 1, 1)).astype(np.float32)

    def draw(defective: bool) -> list[np.ndarray]:
        causes = {side: rng.standard_normal((CAUSES, side, side), np.float32) for side in GRIDS}
        causes[8] += usual
        if defective:
            causes[32][:, 8:12, 20:23] += 10 * aside
        made = []
        for shape, weights in zip(shapes, mixing, strict=True):
            places = sum(by * bilinear(causes[side], shape[1:]) for side, by in GRIDS.items())
            values = weights @ places.reshape(CAUSES, -1).astype(np.float32)
            made.append(np.maximum(values, 0).reshape(shape))
        return made

    return draw


def read(folder: str, split: str) -> list[np.ndarray]:
    """Layers of the training or of the test images."""
    return [np.load(file) for file in sorted(Path(folder).glob(f"{split}_*.npy"))]


def select(folder: str, share: float, folds: int, memory: str) -> dict:
    """Fit a memory on all images, or of so many folds a union of selections, and store it."""
    layers, spent = read(folder, "train"), count_selection()
    union = {"selection": "folds"} if folds else {}  # of which an older checkout knows nothing
    scorer = Patchcore(coreset=share, seed=SEED, **union)
    split = split_into(len(layers[0]), folds) if folds else []
    fit = partial(scorer.fit_for_folds, folds=split) if folds else scorer.fit
    seconds, _ = timed(lambda: fit(layers))
    np.save(Path(folder, memory), scorer.memory_)
    return {"fit": seconds, "selection": sum(spent), "rows": len(scorer.memory_)}


def split_into(n_images: int, n_folds: int) -> list[np.ndarray]:
    """Folds as the workflow draws them."""
    from defectbench.evaluation.held_out import folds

    return folds([""] * n_images, n_folds, SEED)


def count_selection() -> list[float]:
    """Seconds of each greedy selection from now on."""
    try:
        from defectbench.scorers import patch_memory as caller
    except ImportError:  # an older checkout selects in the scorer itself
        from defectbench.scorers import patchcore as caller
    progress.PROGRESS_SECONDS = inf  # some older ones divide by what is done, which may be 0
    greedy = caller.greedy_k_centres
    spent: list[float] = []

    def counted(points: np.ndarray, number: int, start: int) -> np.ndarray:
        seconds, chosen = timed(lambda: greedy(points, number, start))
        spent.append(seconds)
        return chosen

    caller.greedy_k_centres = counted
    return spent


def judge(folder: str, share: float, selection: str, folds: int, maps: bool, memory: str) -> dict:
    """Fit, score test images and held-out ones, with maps as the workflow does, or without."""
    from defectbench.scorers import base

    X, test = read(folder, "train"), read(folder, "test")
    split = split_into(len(X[0]), folds)
    scorer = Patchcore(coreset=share, seed=SEED, selection=selection)
    fit, _ = timed(lambda: scorer.fit_for_folds(X, split))
    # what is judged is made when it is gone through
    scores, _ = timed(lambda: sum(1 for _ in base.judge(scorer, test, maps=maps)))
    held_out, _ = timed(lambda: sum(1 for _ in scorer.held_out(X, split, maps=maps)))
    np.save(Path(folder, memory), scorer.memory_)
    return {"fit": fit, "scores": scores, "held_out": held_out, "rows": len(scorer.memory_)}


def search(folder: str, memory: str) -> dict:
    """Image scores of the test images by the lazy search and by a full one."""
    test = read(folder, "test")
    scorer = Patchcore(map_size=1)  # which costs nothing beside the distances that it is made of
    scorer.memory_ = np.load(Path(folder, memory))
    lazy, scores = timed(lambda: scorer.anomaly_score(test))
    full, (expected, _) = timed(lambda: scorer.score_and_map(test))
    shares = [
        share_computed(scorer.memory_, [layer[rows] for layer in test])
        for rows in (GOOD, DEFECTIVE)
    ]
    apart = float(np.abs(scores / expected - 1).max())
    return {"lazy": lazy, "full": full, "shares": shares, "apart": apart, "images": len(scores)}


GOOD, DEFECTIVE = slice(0, None, 2), slice(1, None, 2)
"""Test images without and with a defect."""


class Counted(np.ndarray):
    """Points of a search; how many pairs of rows products with them have compared is counted."""

    pairs = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **options: Any) -> Any:
        plain = [np.asarray(each) for each in given]
        if ufunc is np.matmul:
            Counted.pairs += len(plain[0]) * plain[1].shape[1]
        return getattr(ufunc, method)(*plain, **options)


def share_computed(memory: np.ndarray, layers: list[np.ndarray]) -> float:
    """Distances that the lazy search computes of some images, beside those of a full one."""
    from defectbench.scorers.patchcore import NearestPatch, image_patches

    search = NearestPatch(memory)
    search._augmented = search._augmented.view(Counted)
    before, of_all = Counted.pairs, 0
    for _, patches in image_patches(layers):
        search.farthest(patches)
        of_all += len(patches) * len(memory)
    return (Counted.pairs - before) / of_all


def extract(images: int, side: int, layer: str) -> dict:
    """A ResNet-18's pass over generated images, as far as a layer."""
    from folds import extraction

    return {"seconds": extraction(images, side, layer)}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    steps = {"generate": generate, "select": select, "judge": judge}
    steps |= {"search": search, "extract": extract}
    found = steps[task.pop("do")](**task)
    print(json.dumps(found | {"peak": (peak_memory_mb() or 0) / 1000}))
