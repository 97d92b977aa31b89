"""What groups are for: false-positive rates on new tiles, and how often the warning is wrong.

Writes reports/groups.md. Everything is generated; nothing but NumPy is needed.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tiles import tile_features

from defectbench.evaluation.held_out import folds, held_out, number_of_folds
from defectbench.evaluation.held_out_check import check_held_out
from defectbench.evaluation.promises import Asked, promise
from defectbench.scorers.base import Scorer
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_kde import PcaKde
from defectbench.storage import write_text

RATE, NEW_TILES = 0.05, 500
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
}


def shuffled_or_grouped(scorer: Scorer, X: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    return held_out(scorer, X, folds(groups, number_of_folds("auto", scorer, groups), 42))


def warned(scorer: Scorer, X: np.ndarray, scores: np.ndarray) -> bool:
    alone = [""] * len(X)
    split = folds(alone, number_of_folds("auto", scorer, alone), 42)
    return bool(check_held_out(scorer, X, alone, scores, split, 42)["warnings"])


def tile_rows(repeats: int) -> Iterator[list[str]]:
    """False-positive rates on new tiles, with shuffled folds and with groups."""
    for exposures, tiles, noise in ((6, 50, 0.1), (6, 50, 0.2), (6, 12, 0.1), (2, 150, 0.1)):
        for name, make in SCORERS.items():
            rates: dict[str, list[float]] = {"shuffled": [], "groups": []}
            warnings = 0
            for seed in range(repeats):
                X, groups = tile_features(seed, tiles, exposures, exposure_noise=noise)
                new, _ = tile_features(seed + 10_000, NEW_TILES, 1, exposure_noise=noise)
                scorer = make().fit(X)
                new_scores = scorer.anomaly_score(new)
                shuffled = shuffled_or_grouped(scorer, X, [""] * len(X))
                warnings += warned(scorer, X, shuffled)
                for key, scores, names in (
                    ("shuffled", shuffled, [""] * len(X)),
                    ("groups", shuffled_or_grouped(scorer, X, groups), groups),
                ):
                    threshold = promise(scores, names, Asked(RATE))["threshold"]
                    rates[key].append(float((new_scores >= threshold).mean()))
            yield [
                f"{tiles} × {exposures}",
                f"{noise}",
                name,
                *(f"{np.mean(rates[key]):.1%}" for key in ("shuffled", "groups")),
                f"{warnings} of {repeats}",
            ]


def false_alarm_rows(repeats: int) -> Iterator[list[str]]:
    """How often independent images raise a warning."""
    for spread, draw in SPREADS.items():
        for name, make in SCORERS.items():
            alarms = []
            for images in (40, 60, 200):
                found = 0
                for seed in range(repeats):
                    X = draw(np.random.default_rng([seed, images]), images).astype(np.float32)
                    scorer = make().fit(X)
                    found += warned(scorer, X, shuffled_or_grouped(scorer, X, [""] * len(X)))
                alarms.append(f"{found / repeats:.1%}")
            yield [spread, name, *alarms]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200, help="generated sets per figure")
    parser.add_argument("--output", type=Path, default=Path("reports/groups.md"))
    arguments = parser.parse_args()
    repeats, tile_sets = arguments.repeats, max(1, arguments.repeats // 10)
    tiles = tabulate(
        tile_rows(tile_sets),
        ["tiles × exposures", "noise", "detector", "shuffled folds", "groups whole", "warned"],
        tablefmt="github",
        disable_numparse=True,
    )
    alarms = tabulate(
        false_alarm_rows(repeats),
        ["independent images", "detector", "40 images", "60 images", "200 images"],
        tablefmt="github",
        disable_numparse=True,
    )
    write_text(
        arguments.output,
        f"""# Groups

`make bench-groups` writes this page from generated feature vectors, seeds 0 upwards.

## Several exposures of each tile

The honest threshold is asked for {RATE:.0%} false positives. Shown is what it does to {NEW_TILES}
tiles that were never photographed before, mean of {tile_sets} generated sets. Noise is what tells
two exposures of a tile apart, as a share of what tells two tiles apart.

{tiles}

## False alarms

Share of {repeats} sets of independent images in which the check warned all the same.

{alarms}
""",
    )


if __name__ == "__main__":
    main()
