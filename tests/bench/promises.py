"""What thresholds promise, simulated: false-positive rates on new images, set after set.

Writes reports/promises.md. Sets of training images are drawn again and again, from 920 photographs
of good solar cells or from generated features; a detector is fitted on each, its threshold set as
a run sets it, and judged on images that were not drawn. Shuffled without regard to modules, cells
drawn and cells left are exchangeable by construction, and a right rule must come out at its rate.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scale_work import maps, vectors

from defectbench.evaluation.held_out import folds, number_of_folds
from defectbench.evaluation.promises import AVERAGE, TOLERANCE, Asked, promise
from defectbench.images.index import read_index
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer, judge
from defectbench.scorers.layers import Features, take_images
from defectbench.storage import open_h5

RATE, SEED = 0.05, 42
IMAGES = (20, 59, 100, 300)
LEFT = 300
"""New images that judge a detector with maps; a detector without is judged by all that are left."""

GROUP, POOLED, MAPS = (
    "lanczos256/efficientnet_lite0",
    "global_pool/pool1",
    ("blocks.2/pool1", "blocks.4/pool1"),
)
DIMENSIONS, GRID, GENERATED_LEFT = 256, (16, 8, 8), 2000

PCA = {"variance": 0.97}
VECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "DFKDE": ("pca_kde", {}),
    "FRE": ("pca_fre", PCA),
    "PCA-Gaussian": ("pca_gaussian", PCA),
    "Mahalanobis": ("mahalanobis", {}),
    "nearest neighbour": ("nearest_neighbour", {}),
    "kernel FRE": ("kernel_pca_fre", PCA),
}
LOCAL: dict[str, tuple[str, dict[str, Any]]] = {
    "FRE, maps": ("pca_fre", PCA),
    "nearest neighbour, maps": ("nearest_neighbour", {}),
    "PaDiM": ("padim", {"channels": 16, "map_size": 32}),
    "patch subspace": ("patch_subspace", {"variance": 0.99}),
    "PatchCore": ("patchcore", {"coreset": 0.02, "map_size": 32}),
}

Draw = Callable[[np.random.Generator, int], tuple[Features, Features]]


class Row(NamedTuple):
    """What came out for one detector and number of training images.

    Attributes
    ----------
    detector, images, draws
        Of how many sets.
    expected, rates
        Mean rate that the rule promises; rate on new images of each set.
    kept
        Of the sets, whether the rate of the tolerance's threshold is at most the one asked for.
    pixel_rates
        Rates of images whose map reaches the pixel threshold; empty without maps.
    """

    detector: str
    images: int
    expected: float
    rates: list[float]
    kept: list[bool]
    pixel_rates: list[float]

    @property
    def cells(self) -> list[str]:
        """As the table shows it."""
        error = np.std(self.rates, ddof=1) / len(self.rates) ** 0.5
        pixels = f"{np.mean(self.pixel_rates):.1%}" if self.pixel_rates else "–"
        kept = f"{np.mean(self.kept):.0%}" if self.kept else "–"
        found = f"{np.mean(self.rates):.1%} ± {error:.1%}"
        counts = [f"{self.images}", f"{len(self.rates)}"]
        return [self.detector, *counts, f"{self.expected:.1%}", found, pixels, kept]


def cells(folder: Path, layers: Sequence[str]) -> tuple[Features, np.ndarray]:
    """Features of all cells, and rows of the good ones."""
    labels = np.array([row.label for row in read_index(folder / "index.tsv")])
    with open_h5(folder / "features.h5") as file:
        X = [file[GROUP][name][labels == 0] for name in layers]
    return X if len(X) > 1 else X[0], np.arange(len(X[0]))


def draw_cells(folder: Path, layers: Sequence[str], most: int | None) -> Draw:
    """Draws of good cells, and the others."""
    X, rows = cells(folder, layers)

    def draw(rng: np.random.Generator, count: int) -> tuple[Features, Features]:
        shuffled = rng.permutation(rows)
        left = shuffled[count:][:most]
        return take_images(X, shuffled[:count]), take_images(X, left)

    return draw


def draw_generated(shape: Sequence[int]) -> Draw:
    """Draws of features, of another world each time."""

    def draw(rng: np.random.Generator, count: int) -> tuple[Features, Features]:
        total = count + (GENERATED_LEFT if len(shape) == 1 else LEFT)
        made = (vectors if len(shape) == 1 else maps)(rng, *shape)(np.zeros(total, bool))
        return made[:count], made[count:]

    return draw


def scores_and_maxima(scorer: Scorer, X: Features, *, maps: bool) -> tuple[np.ndarray, ...]:
    """Image scores, and the largest values of the maps."""
    parts = [(part.scores, maxima(part.maps)) for part in judge(scorer, X, maps=maps)]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def held_out_scores(
    scorer: Scorer, X: Features, split: list[np.ndarray], *, maps: bool
) -> tuple[np.ndarray, ...]:
    """The same of training images, each by a detector without it."""
    parts = [(part.scores, maxima(part.maps)) for part in scorer.held_out(X, split, maps=maps)]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def maxima(anomaly_maps: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if anomaly_maps is None else anomaly_maps.max(axis=(1, 2))


def simulate(
    name: str, entry: tuple[str, dict[str, Any]], count: int, draw: Draw, limits: tuple[int, float]
) -> Row:
    """Sets of training images until there are enough, or the time is over."""
    scorer_name, parameters = entry
    row = Row(name, count, 0.0, [], [], [])
    draws, seconds = limits
    start = time.process_time()
    while len(row.rates) < draws and (time.process_time() - start < seconds or len(row.rates) < 2):
        rng = np.random.default_rng([SEED, count, len(row.rates)])
        X, new = draw(rng, count)
        scorer = scorer_class(scorer_name)(**parameters)
        with_maps = scorer.localizes and name in LOCAL
        scorer.fit(X)
        split = folds([""] * count, number_of_folds("auto", scorer, [""] * count), SEED)
        held_out, held_out_maxima = held_out_scores(scorer, X, split, maps=with_maps)
        new_scores, new_maxima = scores_and_maxima(scorer, new, maps=with_maps)
        average, tolerance = (promise(held_out, [""] * count, Asked(RATE, rule)) for rule in RULES)
        row.rates.append(float((new_scores >= average["threshold"]).mean()))
        if not tolerance["estimate"]:
            rate = (new_scores >= tolerance["threshold"]).mean()
            row.kept.append(bool(rate <= RATE))
        if with_maps:
            level = promise(held_out_maxima, [""] * count, Asked(RATE))["threshold"]
            row.pixel_rates.append(float((new_maxima >= level).mean()))
    return row._replace(expected=average["expected"])


RULES = (AVERAGE, TOLERANCE)


def task(source: str, name: str, count: int, folder: Path, limits: tuple[int, float]) -> Row:
    """One row of a table."""
    local = name in LOCAL
    if source == "cells":
        draw = draw_cells(folder, MAPS if local else [POOLED], LEFT if local else None)
    else:
        draw = draw_generated(GRID if local else (DIMENSIONS,))
    return simulate(name, (LOCAL | VECTORS)[name], count, draw, limits)


def grouped_sets(repeats: int) -> Iterator[list[str]]:
    """Groups of unequal size, and an image each of new groups."""
    for groups in (9, 13, 40):
        for name in ("DFKDE", "FRE", "nearest neighbour"):
            for share in (0.3, 0.9):
                yield grouped(name, groups, share, repeats)


def grouped(name: str, n_groups: int, share: float, repeats: int) -> list[str]:
    """A detector on groups that share some of their variance."""
    scorer_name, parameters = VECTORS[name]
    rates: dict[str, list[float]] = {rule: [] for rule in RULES}
    promised: dict[str, Any] = {}
    for seed in range(repeats):
        rng = np.random.default_rng([SEED, n_groups, seed])
        draw = vectors(rng, DIMENSIONS)
        sizes = 1 + rng.geometric(1 / 8, n_groups)  # from 2 images to some 40
        numbers = np.repeat(np.arange(n_groups + 1000), np.append(sizes, np.ones(1000, int)))
        whole = draw(np.zeros(n_groups + 1000, bool))[numbers]
        own = draw(np.zeros(len(numbers), bool))
        X = (share**0.5 * whole + (1 - share) ** 0.5 * own).astype(np.float32)
        count = int(sizes.sum())
        labels = [f"{number}" for number in numbers[:count]]
        scorer = scorer_class(scorer_name)(**parameters).fit(X[:count])
        split = folds(labels, number_of_folds("auto", scorer, labels), SEED)
        held_out = np.empty(count)
        for part in scorer.held_out(X[:count], split, maps=False):
            held_out[part.rows] = part.scores
        new = scorer.anomaly_score(X[count:])
        for rule in RULES:
            promised[rule] = promise(held_out, labels, Asked(RATE, rule))
            rates[rule].append(float((new >= promised[rule]["threshold"]).mean()))
    kind = "estimate" if promised[AVERAGE]["estimate"] else "average"
    return [
        f"{n_groups}",
        name,
        f"{share:.0%}",
        kind,
        f"{promised[AVERAGE]['expected']:.1%}",
        f"{np.mean(rates[AVERAGE]):.1%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="results/…/polycrystalline, with features")
    parser.add_argument("--draws", type=int, default=200, help="sets of training images, at most")
    parser.add_argument("--seconds", type=float, default=120, help="processor time of a row")
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--detectors", nargs="+", default=[*VECTORS, *LOCAL])
    parser.add_argument("--sources", nargs="+", default=["cells", "generated"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("reports/promises.md"))
    arguments = parser.parse_args()
    limits = (arguments.draws, arguments.seconds)
    for source in arguments.sources:
        wanted = [(name, count) for name in arguments.detectors for count in arguments.images]
        with ProcessPoolExecutor(arguments.jobs) as pool:
            jobs = [pool.submit(task, source, *each, arguments.folder, limits) for each in wanted]
            for job in jobs:
                print(source, *job.result().cells, flush=True)
    for row in grouped_sets(arguments.draws // 4):
        print(*row, flush=True)


if __name__ == "__main__":
    main()
