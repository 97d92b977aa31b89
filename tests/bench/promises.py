"""What thresholds promise, simulated: false-positive rates on new images, set after set.

Writes reports/promises.md. Sets of training images are drawn again and again, from photographs of
good parts or from generated features; a detector is fitted on each, its threshold is set as a run
sets it, and judged by images that were not drawn. Shuffled without regard to modules, cells that
are drawn and cells that are left are exchangeable by construction: a right rule must come out at
its rate.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import table
from scale_work import maps, vectors
from scipy.stats import betabinom

from defectbench.evaluation.held_out import folds, how_held_out, number_of_folds
from defectbench.evaluation.promises import MANY, RULES, TOLERANCE, Asked, most_above, promise
from defectbench.evaluation.thresholds import ROUNDING, threshold_at_false_positive_rate
from defectbench.images.index import read_index
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer, judge
from defectbench.scorers.layers import Features, number_of_images, take_images
from defectbench.storage import open_h5, write_text

RATE, SEED = 0.05, 42
IMAGES = (20, 59, 100, 300)
NEW, NEW_MAPS = 2000, 300
"""New images that judge a detector, at most: without maps, and with."""

GROUP = "lanczos256/efficientnet_lite0"
POOLED, COARSE, FINE = "global_pool/pool1", "blocks.4/pool4", ("blocks.2/pool1", "blocks.4/pool1")
DIMENSIONS, GRID = (256,), (16, 8, 8)


class Entry(NamedTuple):
    """A detector, and what it reads of photographs."""

    scorer: str
    parameters: dict[str, Any]
    layers: tuple[str, ...] = (POOLED,)


PCA, SMALL = {"variance": 0.97}, {"map_size": 32}
VECTORS = {
    "DFKDE": Entry("pca_kde", {}),
    "FRE": Entry("pca_fre", PCA, (COARSE,)),
    "PCA-Gaussian": Entry("pca_gaussian", PCA),
    "Mahalanobis": Entry("mahalanobis", {}),
    "nearest neighbour": Entry("nearest_neighbour", {}),
    "kernel FRE": Entry("kernel_pca_fre", PCA),
}
LOCAL = {
    "FRE, maps": Entry("pca_fre", PCA, FINE[1:]),
    "FRE, maps of two layers": Entry("pca_fre", PCA, FINE),
    "PaDiM": Entry("padim", {"channels": 16, **SMALL}, FINE),
    "patch subspace": Entry("patch_subspace", {"variance": 0.99}, FINE),
    "PatchCore": Entry("patchcore", {"coreset": 0.02, **SMALL}, FINE),
}
HEADER = [
    "detector", "images", "sets", "expected", "obtained", "pixel threshold",
    "tolerance, expected", "tolerance, kept",
]  # fmt: skip

GROUPED = [
    "groups", "shared", "detector", "threshold", "expected, at most", "obtained",
    "obtained, tolerance",
]  # fmt: skip

Draw = Callable[[np.random.Generator, int], tuple[Features, Features]]


class Set(NamedTuple):
    """What one set of training images came to.

    Attributes
    ----------
    expected
        Rate that the average promises.
    obtained, pixels
        Rates of new images whose score, or map, reaches the threshold; None without maps.
    new
        Number of new images.
    kept
        Whether the tolerance's threshold kept the rate; None where it is an estimate.
    """

    expected: float
    obtained: float
    pixels: float | None
    new: int
    kept: bool | None


def read_features(folder: Path, name: str, label: int) -> Features:
    """Features of a category's good or defective images, as a detector reads them."""
    layers = (VECTORS | LOCAL)[name].layers
    own = np.array([row.label for row in read_index(folder / "index.tsv")]) == label
    with open_h5(folder / "features.h5") as file:
        X = [file[GROUP][layer][own] for layer in layers]
    if name in VECTORS:
        return X[0].reshape(len(X[0]), -1)
    return X if len(X) > 1 else X[0]


def draw_photographs(folder: Path, name: str) -> Draw:
    """Draws of a category's good images, and the others."""
    X = read_features(folder, name, 0)

    def draw(rng: np.random.Generator, count: int) -> tuple[Features, Features]:
        shuffled = rng.permutation(number_of_images(X))
        left = shuffled[count:][: NEW_MAPS if name in LOCAL else NEW]
        return take_images(X, shuffled[:count]), take_images(X, left)

    return draw


def draw_generated(name: str) -> Draw:
    """Draws of generated features, of another world each time."""
    make, shape, new = (maps, GRID, NEW_MAPS) if name in LOCAL else (vectors, DIMENSIONS, NEW)

    def draw(rng: np.random.Generator, count: int) -> tuple[Features, Features]:
        X = make(rng, *shape)(np.zeros(count + new, bool))
        return X[:count], X[count:]

    return draw


def made(entry: Entry) -> Scorer:
    """The scorer, not fitted."""
    return scorer_class(entry.scorer)(**entry.parameters)


def maxima(anomaly_maps: np.ndarray | None) -> np.ndarray:
    """Largest value of each map; nothing of none."""
    return np.empty(0) if anomaly_maps is None else anomaly_maps.max(axis=(1, 2))


def held_out(scorer: Scorer, X: Features, groups: Sequence[str], number: int | str) -> list:
    """Rows, scores and maps' maxima of training images, each by a detector without it."""
    split = folds(groups, number_of_folds(number, scorer, groups), SEED)
    parts = scorer.held_out(X, split, maps=scorer.localizes and np.ndim(first(X)) == 4)
    found = [(part.rows, part.scores, maxima(part.maps)) for part in parts]
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def first(X: Features) -> Any:
    """The first layer."""
    return X[0] if isinstance(X, list) else X


def one_set(entry: Entry, X: Features, new: Features) -> Set:
    """Fit, set thresholds, judge."""
    count = number_of_images(X)
    alone = [""] * count
    scorer = made(entry).fit(X)
    _, scores, largest = held_out(scorer, X, alone, "auto")
    parts = [(part.scores, maxima(part.maps)) for part in judge(scorer, new, maps=len(largest) > 0)]
    new_scores, new_largest = (np.concatenate(each) for each in zip(*parts, strict=True))
    average, tolerance = (promise(scores, alone, Asked(RATE, rule)) for rule in RULES)
    kept = (new_scores >= tolerance["threshold"]).mean() <= RATE
    level = promise(largest, alone, Asked(RATE))["threshold"] if len(largest) else None
    return Set(
        average["expected"],
        float((new_scores >= average["threshold"]).mean()),
        None if level is None else float((new_largest >= level).mean()),
        len(new_scores),
        None if tolerance["estimate"] else bool(kept),
    )


def sets(source: str, name: str, count: int, draws: int, seconds: float) -> list[Set]:
    """Sets of training images until there are enough, or the time is over.

    Parameters
    ----------
    source
        A category's folder, or empty for generated features.
    name, count
        Detector, and training images.
    draws, seconds
        At most, but for a tenth of the draws.
    """
    draw = draw_photographs(Path(source), name) if source else draw_generated(name)
    found: list[Set] = []
    start = time.process_time()
    while len(found) < draws and (
        len(found) < draws // 10 or time.process_time() - start < seconds
    ):
        X, new = draw(np.random.default_rng([SEED, count, len(found)]), count)
        found.append(one_set((VECTORS | LOCAL)[name], X, new))
    return found


def row(name: str, count: int, found: Sequence[Set]) -> list[str]:
    """A table's row."""
    obtained = [each.obtained for each in found]
    error = np.std(obtained, ddof=1) / len(found) ** 0.5
    pixels = [each.pixels for each in found if each.pixels is not None]
    kept = [each.kept for each in found if each.kept is not None]
    return [
        name,
        f"{count}",
        f"{len(found)}",
        expected_rate(name, count, found[0].expected),
        f"{100 * np.mean(obtained):.1f} ± {100 * error:.1f}",
        f"{100 * np.mean(pixels):.1f}" if pixels else "–",
        f"{100 * expected_confidence(count, found[0].new):.0f}" if kept else "–",
        kept_in_a_hundred(np.mean(kept), len(kept)) if kept else "–",
    ]


def expected_rate(name: str, count: int, expected: float) -> str:
    """What a threshold says of itself, in percent."""
    entry, alone = (VECTORS | LOCAL)[name], [""] * count
    n_folds = number_of_folds("auto", made(entry), alone)
    how = how_held_out(entry.scorer, np.arange(count) % n_folds, alone)
    return f"{'at most ' if how == MANY else ''}{100 * expected:.1f}"


def expected_confidence(count: int, new: int) -> float:
    """How often an exact tolerance is seen to keep the rate on so many new images."""
    above = most_above(count, RATE, TOLERANCE)
    return float(betabinom.cdf(int(RATE * new + ROUNDING), new, above + 1, count - above))


def kept_in_a_hundred(share: float, of: int) -> str:
    """A share of so many sets, and its standard error, with two more of each kind.

    Agresti and Coull, "Approximate is better than 'exact'", 1998: that of 10 in 10 is not zero.
    """
    shrunk = (share * of + 2) / (of + 4)
    return f"{100 * share:.0f} ± {100 * (shrunk * (1 - shrunk) / (of + 4)) ** 0.5:.0f}"


def grouped(name: str, n_groups: int, share: float, draws: int) -> list[str]:
    """Groups of 2 to some 40 images, whose members share some of their variance; a table's row."""
    entry, found = VECTORS[name], []
    for seed in range(draws):
        rng = np.random.default_rng([SEED, n_groups, seed])
        draw, sizes = vectors(rng, *DIMENSIONS), 1 + rng.geometric(1 / 8, n_groups)
        groups = np.repeat(np.arange(n_groups + NEW), np.append(sizes, np.ones(NEW, int)))
        whole, own = draw(np.zeros(n_groups + NEW, bool))[groups], draw(np.zeros(len(groups), bool))
        X = (share**0.5 * whole + (1 - share) ** 0.5 * own).astype(np.float32)
        train, names = X[: sizes.sum()], groups[: sizes.sum()].astype(str)
        scorer = made(entry).fit(train)
        rows, scores, _ = held_out(scorer, train, names.tolist(), "auto")
        average, tolerance = (promise(scores, names[rows], Asked(RATE, rule)) for rule in RULES)
        new = scorer.anomaly_score(X[sizes.sum() :])
        rates = [(new >= each["threshold"]).mean() for each in (average, tolerance)]
        found.append((average["expected"], *rates))
    expected, rate, strict = 100 * np.mean(found, axis=0)
    kind = "an estimate" if average["estimate"] else "promised"
    figures = [f"{expected:.1f}", f"{rate:.1f}", "–" if tolerance["estimate"] else f"{strict:.1f}"]
    return [f"{n_groups}", f"{share:.0%}", name, kind, *figures]


def strictness(folder: Path, name: str, count: int, draws: int) -> list[str]:
    """Defects found before, now, and where the rate is kept exactly; a table's row.

    Before: five folds, and as many scores above the threshold as the rate times their number.
    """
    entry, found = VECTORS[name], []
    good, defective = (read_features(folder, name, label) for label in (0, 1))
    for seed in range(draws):
        shuffled = np.random.default_rng([SEED, seed]).permutation(len(good))
        train, left = good[shuffled[:count]], good[shuffled[count:]]
        scorer, alone = made(entry).fit(train), [""] * count
        before, now = (held_out(scorer, train, alone, number)[1] for number in (5, "auto"))
        thresholds = (
            threshold_at_false_positive_rate(before, RATE),
            promise(now, alone, Asked(RATE))["threshold"],
            threshold_at_false_positive_rate(scorer.anomaly_score(left), RATE),
        )
        scores = scorer.anomaly_score(defective)
        found.append([(scores >= threshold).mean() for threshold in thresholds])
    shares = [f"{100 * share:.1f}" for share in np.mean(found, axis=0)]
    return [folder.name, name, f"{count}", f"{draws}", *shares]


def report(
    rates: dict[str, list[list[str]]], groups: list[list[str]], found: list[list[str]]
) -> str:
    """The page."""
    parts = [
        "# What thresholds promise\n\nMade by `make bench-promises` (tests/bench/promises.py). "
        f"{RATE:.0%} false positives are asked for. *Expected* is what the rule promises for "
        "so many images, *obtained* the rate on new images, in percent, mean over the sets of "
        "training images and its standard error. *Pixel threshold*: share of new good images whose "
        "map reaches it anywhere. *Tolerance, kept*: sets in a hundred whose rate is at most the "
        "one asked for by the rule `tolerance`, and its standard error; 95 or more are promised of "
        "the true rate, and that of so few new images scatters: *tolerance, expected* is what an "
        "exact rule shows on as many. PCA-Gaussian's and FRE's thresholds by it are estimates. "
        "Rows stop at the sets that a limit of time allows (`--draws`, `--seconds`)."
    ]
    for source, rows in rates.items():
        parts += [f"## {source}", table(rows, HEADER)]
    parts += [
        "## Groups\n\nGroups of 2 to some 40 generated images, which share a part of their "
        "variance; new images are of new groups. With groups the rate is at most the expected one: "
        "the less images of a group have in common, the more the weight of whole groups is "
        "caution. With 9 and 13 groups the threshold is an estimate.",
        table(groups, GROUPED),
        "## What strictness costs\n\nDefects found, in percent, on average over sets of good "
        "images: *before* with five folds, and as many of n scores above the threshold as "
        "⌊rate × n⌋; *now*; and at the *true* threshold, above which lie just as many of the good "
        "images left.",
        table(found, ["category", "detector", "images", "sets", "before", "now", "true"]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def parsed() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", type=Path, help="results/…/polycrystalline, with features")
    parser.add_argument("--also", type=Path, help="another category, for what strictness costs")
    parser.add_argument("--draws", type=int, default=200, help="sets of training images, at most")
    parser.add_argument("--seconds", type=float, default=120, help="processor time of a row")
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--detectors", nargs="+", default=[*VECTORS, *LOCAL])
    parser.add_argument("--jobs", type=int, default=1, help="rows at once")
    parser.add_argument("--output", type=Path, default=Path("reports/promises.md"))
    return parser.parse_args()


def asked_rows(
    arguments: argparse.Namespace, pool: ProcessPoolExecutor
) -> Iterator[tuple[str, str, int, Future]]:
    """Title, detector, images and what will be found of each row."""
    for title, source in (("920 solar cells", str(arguments.cells)), ("Generated features", "")):
        for name in arguments.detectors:
            for count in arguments.images:
                limits = arguments.draws, arguments.seconds
                yield title, name, count, pool.submit(sets, source, name, count, *limits)


def main() -> None:
    arguments = parsed()
    few = max(2, arguments.draws // 4)
    plain = [name for name in arguments.detectors if name in VECTORS]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        submitted = list(asked_rows(arguments, pool))
        groups = [
            pool.submit(grouped, name, count, share, few)
            for count in (9, 13, 40)
            for share in (0.3, 0.9)
            for name in plain
        ]
        folders = {arguments.cells: 300, arguments.also: 150}
        costs = [
            pool.submit(strictness, folder, name, count, max(2, few // 5))
            for folder, count in folders.items()
            if folder
            for name in plain
        ]
        rates: dict[str, list[list[str]]] = {}
        for title, name, count, job in submitted:
            rates.setdefault(title, []).append(row(name, count, job.result()))
            print(title, *rates[title][-1], flush=True)
        text = report(rates, *([job.result() for job in each] for each in (groups, costs)))
    write_text(arguments.output, text)
    print(arguments.output)


if __name__ == "__main__":
    main()
