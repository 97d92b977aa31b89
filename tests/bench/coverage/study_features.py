"""The study of training size from features to intervals, by detectors that are really fitted."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
from simulated import USED, Row, Tally
from study_points import NAMES, SETTINGS

from defectbench.scorers.base import Scorer
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.scorers.pca_fre import PcaFre
from defectbench.studies.results import FIGURES
from defectbench.studies.training_set import training_set_levels
from defectbench.studies.trial import Category, trial

DIMENSIONS = 16
POOL, SIZE, REPEATS = 60, 20, 3
SCORERS: dict[str, Scorer] = {
    "nearest neighbour": NearestNeighbour(),
    "feature reconstruction": PcaFre(variance=0.7),
}


def category(rng: np.random.Generator, train: int, good: int, defective: int) -> Category:
    """Features of heavy tails; defective images lie aside in some directions, each as far as else.

    Good images vary most in the first directions, as features do.
    """
    n = train + good + defective
    spread = 1 / np.sqrt(1 + np.arange(DIMENSIONS))
    X = spread * rng.standard_t(5, (n, DIMENSIONS))
    X[train + good :, 8:] += rng.gamma(2, 0.25, (defective, 1))
    labels = np.repeat([0, 1], [train + good, defective])
    rows = np.arange(n)
    return Category(
        X.astype(np.float32), labels, np.full(n, ""), rows[:train], rows[train:], "simulated"
    )


def truths(scorer: Scorer, draws: int) -> dict[str, float]:
    """Mean figures of detectors that are each fitted on images of their own."""
    rng = np.random.default_rng(0)
    found = {name: [] for name in FIGURES}
    for _ in range(draws):
        made = category(rng, SIZE, 1000, 1000)
        _, _, _, verdict = trial(scorer, made, made.train, made.test, SETTINGS)
        good, defective = (verdict.scores[made.labels[made.test] == label] for label in (0, 1))
        below = np.searchsorted(np.sort(good), defective).mean() / len(good)
        rates = [float((each >= verdict.threshold).mean()) for each in (good, defective)]
        for name, value in zip(FIGURES, (below, *rates), strict=True):
            found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def feature_rows(trials: int) -> Iterator[Row]:
    """Of fitted detectors."""
    block = {"images": [SIZE], "repeats": REPEATS}
    for name, scorer in SCORERS.items():
        truth = truths(scorer, 1000)
        for tests in ((20, 60), (100, 100)):
            tallies = {figure: Tally(truth[figure]) for figure in FIGURES}
            for seed in range(trials):
                made = category(np.random.default_rng(seed), POOL, *tests)
                settings = SETTINGS._replace(seed=seed)
                with contextlib.redirect_stderr(io.StringIO()):  # no line of progress for each
                    (found,) = training_set_levels(
                        "training_size", scorer, made, block, settings, ""
                    )
                for figure, tally in tallies.items():
                    tally.add({USED: found["intervals"][figure]})
            for figure, tally in tallies.items():
                drawn = f"{REPEATS} draws of {SIZE} of {POOL} images"
                case = "{}, {}, {} good and {} defective test images".format(name, drawn, *tests)
                yield from tally.rows(f"{NAMES[figure]} of other draws", case)
