"""What groups are for: false-positive rates on new tiles, and how often the warning is wrong.

Writes reports/groups.md. Everything is generated; nothing but NumPy is needed.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from measuring import table
from tiles import tile_features

from defectbench.evaluation.held_out import folds, held_out, number_of_folds
from defectbench.evaluation.look_alikes import look_alikes
from defectbench.evaluation.promises import Asked, promise
from defectbench.scorers.base import Scorer
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_kde import PcaKde
from defectbench.storage import write_text

RATE, NEW_TILES, RATE_SETS = 0.05, 500, 20
SCORERS: dict[str, Callable[[], Scorer]] = {"DFKDE": PcaKde, "FRE": PcaFre}

# independent images; each spread is hard for one of the two signs
SPREADS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "12 directions in 64 dimensions": lambda rng, n: (
        rng.normal(size=(n, 12)) @ np.random.default_rng(0).normal(size=(12, 64))
        + 0.3 * rng.normal(size=(n, 64))
    ),
    "64 normal dimensions": lambda rng, n: rng.normal(size=(n, 64)),
    "512 dimensions with heavy tails": lambda rng, n: rng.standard_t(3, size=(n, 512)),
    "three kinds of parts": lambda rng, n: (
        rng.normal(size=(n, 64)) + 8 * rng.integers(0, 3, size=(n, 1))
    ),
    "log-normal": lambda rng, n: np.exp(rng.normal(size=(n, 40))),
    "one way to differ": lambda rng, n: rng.uniform(size=(n, 1)),
    "two ways, and noise": lambda rng, n: (
        rng.uniform(size=(n, 2)) @ np.random.default_rng(0).normal(size=(2, 64))
        + 0.05 * rng.normal(size=(n, 64))
    ),
    "one in twenty spreads wider": lambda rng, n: (
        rng.normal(size=(n, 64)) * np.where(rng.random((n, 1)) < 0.05, 6, 1)
    ),
    "ten kinds of parts": lambda rng, n: (
        rng.normal(size=(n, 64)) + 8 * np.eye(10, 64)[rng.integers(0, 10, n)]
    ),
}


TILES = (
    (50, 6, 0.1),
    (50, 6, 0.2),
    (50, 6, 0.4),
    (12, 6, 0.1),
    (10, 4, 0.2),
    (10, 2, 0.1),
    (20, 2, 0.2),
    (150, 2, 0.1),
    (150, 2, 0.2),
)
"""Tiles, exposures of each, and what tells two exposures apart."""

IMAGES = (20, 40, 60, 200)


def held_out_scores(scorer: Scorer, X: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    return held_out(scorer, X, folds(groups, number_of_folds("auto", scorer, groups), 42))


def rates(make: Callable[[], Scorer], tiles: int, exposures: int, noise: float) -> list[str]:
    """False-positive rates on new tiles: of a threshold without groups, and with them."""
    found = []
    for seed in range(RATE_SETS):
        X, groups = tile_features(seed, tiles, exposures, exposure_noise=noise)
        new, _ = tile_features(seed + 10_000, NEW_TILES, 1, exposure_noise=noise)
        scorer = make().fit(X)
        new_scores = scorer.anomaly_score(new)
        for names in ([""] * len(X), groups):
            scores = held_out_scores(scorer, X, names)
            threshold = promise(scores, names, Asked(RATE))["threshold"]
            found.append(float((new_scores >= threshold).mean()))
    return [f"{np.mean(found[place::2]):.1%}" for place in (0, 1)]


def tile_rows(repeats: int) -> Iterator[list[str]]:
    """False-positive rates on new tiles, and how often look-alikes are noticed."""
    for tiles, exposures, noise in TILES:
        warned = 0
        for seed in range(repeats):
            X, _ = tile_features(seed, tiles, exposures, exposure_noise=noise)
            warned += bool(look_alikes(np.random.default_rng(seed).permutation(X)))
        figures = [
            each for make in SCORERS.values() for each in rates(make, tiles, exposures, noise)
        ]
        yield [f"{tiles} × {exposures}", f"{noise}", *figures, f"{1 - warned / repeats:.1%}"]


def false_alarm_rows(repeats: int) -> Iterator[list[str]]:
    """How often independent images raise a warning."""
    for spread, draw in SPREADS.items():
        alarms = []
        for images in IMAGES:
            sets = (draw(np.random.default_rng([seed, images]), images) for seed in range(repeats))
            found = sum(bool(look_alikes(X.astype(np.float32))) for X in sets)
            alarms.append(f"{found / repeats:.1%}")
        yield [spread, *alarms]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500, help="generated sets per figure")
    parser.add_argument("--output", type=Path, default=Path("reports/groups.md"))
    arguments = parser.parse_args()
    repeats = arguments.repeats
    of_scorers = [f"{name}, {kind}" for name in SCORERS for kind in ("without", "with groups")]
    tiles = table(tile_rows(repeats), ["tiles × exposures", "noise", *of_scorers, "not warned"])
    counts = [f"{images} images" for images in IMAGES]
    alarms = table(false_alarm_rows(repeats), ["independent images", *counts])
    write_text(
        arguments.output,
        f"""# Groups

`make bench-groups` writes this page from generated feature vectors, seeds 0 upwards.

## Several exposures of each tile

The honest threshold is asked for {RATE:.0%} false positives. Shown is what it does to {NEW_TILES}
tiles that were never photographed before, without groups and with them, mean of {RATE_SETS}
generated sets. Noise is what tells two exposures of a tile apart, as a share of what tells two
tiles apart. *Not warned*: share of {repeats} sets, in any order, of which nobody says that images
look alike.

{tiles}

## False alarms

Share of {repeats} sets of independent images in which the check warned all the same. Ten kinds of
parts look like groups, and are called so.

{alarms}
""",
    )


if __name__ == "__main__":
    main()
