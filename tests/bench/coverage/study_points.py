"""Points, differences and sentences of the studies, of detectors fitted on drawn images."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from image_figures import GRID, REPLICATES, Scores, TestSet, draw, separate, shapes
from scipy import stats
from simulated import USED, Interval, Row, Tally

from defectbench.evaluation import bootstrap
from defectbench.evaluation.intervals import auroc_interval
from defectbench.evaluation.promises import most_above, promise
from defectbench.evaluation.rates import effective_size, rate_interval
from defectbench.studies.levels import Judged, Verdict, level
from defectbench.studies.results import FIGURES, Level, Settings
from defectbench.studies.training_set import nested_subsets

SETTINGS = Settings(0.05, "average", 5, 42)
NAMES = dict(zip(FIGURES, ("AUROC", "false alarms", "share found"), strict=True))


class Line(NamedTuple):
    """What is simulated: a line's scores, its photographs, and how they are drawn from.

    Attributes
    ----------
    made
        Scores of good and defective images by the usual detector.
    spread
        Standard deviation of the shift that the draw of the training images gives defective ones.
    pool, size, repeats
        Training images that there are; how many a draw takes; draws.
    tests
        Good and defective test images.
    group
        Images of a part, which are alike by `alike`; in training and in test.
    """

    made: Scores
    spread: float
    pool: int
    size: int
    repeats: int
    tests: tuple[int, int]
    group: int = 1
    alike: float = 0.0


def verdicts_of(line: Line, rng: np.random.Generator) -> list[Verdict]:
    """Each draw's, all on the same test images, which are new in each simulation."""
    test = draw(rng, *line.tests, group_size=line.group, alike=line.alike)
    parts = np.arange(line.pool) // line.group
    groups = parts.astype(str) if line.group > 1 else np.full(line.pool, "")
    effects = rng.normal(size=parts.max() + 1)
    latent = np.sqrt(line.alike) * rng.normal(size=parts.max() + 1)[parts]
    latent += np.sqrt(1 - line.alike) * rng.normal(size=line.pool)
    held_out = line.made.good(stats.norm.cdf(latent))
    found = []
    for repeat in range(line.repeats):
        (rows,) = nested_subsets(groups, [line.size], [int(rng.integers(1 << 30)), repeat])
        drawn = np.unique(parts[rows])
        shift = line.spread * effects[drawn].mean() * len(drawn) ** 0.5
        found.append(verdict_of(line, test, shift, held_out[rows], groups[rows]))
    return found


def verdict_of(
    line: Line, test: TestSet, shift: float, held_out: np.ndarray, groups: np.ndarray
) -> Verdict:
    """Of one detector, whose threshold is that of its own training images."""
    threshold = promise(held_out, groups, SETTINGS.asked)["threshold"]
    scores = test.scores(line.made) + shift * test.labels
    judged = Judged(test.labels, test.groups, "simulated")
    return Verdict(judged, scores, scores >= threshold, threshold)


def truths(line: Line) -> dict[str, float]:
    """Mean figures of all draws from all the line's images, on all of its test images."""
    rng = np.random.default_rng(0)
    n = 20_000
    shifts = line.spread * rng.normal(size=n)
    good, defective = np.sort(line.made.good(GRID)), np.sort(line.made.defective(GRID))
    beaten = np.searchsorted(good, rng.choice(defective, n) + shifts) / len(good)
    thresholds = np.array([drawn_threshold(line, rng) for _ in range(4000)])
    rates = 1 - np.searchsorted(good, thresholds) / len(good)
    recalls = 1 - np.searchsorted(defective, thresholds - shifts[:4000]) / len(good)
    figures = float(beaten.mean()), float(rates.mean()), float(recalls.mean())
    return dict(zip(FIGURES, figures, strict=True))


def drawn_threshold(line: Line, rng: np.random.Generator) -> float:
    """The threshold of new training images."""
    parts = np.arange(line.size) // line.group
    latent = np.sqrt(line.alike) * rng.normal(size=parts.max() + 1)[parts]
    latent += np.sqrt(1 - line.alike) * rng.normal(size=line.size)
    held_out = line.made.good(stats.norm.cdf(latent))
    groups = parts.astype(str) if line.group > 1 else np.full(line.size, "")
    return promise(held_out, groups, SETTINGS.asked)["threshold"]


def before(found: Level, verdicts: Sequence[Verdict]) -> dict[str, Interval]:
    """Intervals for which draws counted as if they were of other images, and many."""
    ranking = found["ranking"]
    values = {name: np.array([each[name] for each in found["repeats"]]) for name in FIGURES}
    added = {
        name: own.var(ddof=1) / len(own) if len(own) > 1 else 0.0 for name, own in values.items()
    }
    variance = ranking["variance"] + added["image_auroc"]
    intervals = {"image_auroc": auroc_interval(found["image_auroc"], variance, *ranking["units"])}
    for label, name in enumerate(FIGURES[1:]):
        sizes = []
        for each in verdicts:
            own = each.images.labels == label
            sizes.append(effective_size(each.called[own], each.images.groups[own]))
        mean, of = found[name], min(sizes)
        if 0 < mean < 1:
            of = mean * (1 - mean) / (mean * (1 - mean) / of + added[name])
        intervals[name] = rate_interval(mean, of)
    return intervals


def lines() -> Iterator[tuple[str, Line]]:
    """All cases of a mean over draws."""
    for auroc in (0.8, 0.95):
        for name, made in shapes(auroc):
            for repeats in (3, 5):
                yield f"AUROC {auroc}, {name}", Line(made, 0.5, 80, 20, repeats, (20, 60))
    for name, made in shapes(0.9):
        yield f"AUROC 0.9, {name}", Line(made, 0.5, 80, 20, 3, (10, 10))
        yield f"AUROC 0.9, {name}", Line(made, 0.5, 80, 50, 5, (200, 200))
        yield f"AUROC 0.9, {name}", Line(made, 1.0, 80, 40, 5, (60, 60))
        yield f"AUROC 0.9, {name}, parts", Line(made, 0.5, 96, 48, 5, (40, 40), 4, 0.7)
    yield "no overlap", Line(separate(), 0.1, 80, 20, 3, (20, 60))


def point_rows(trials: int) -> Iterator[Row]:
    """Of a point's three figures."""
    for name, line in lines():
        truth = truths(line)
        tallies = {figure: Tally(truth[figure]) for figure in FIGURES}
        for seed in range(trials):
            verdicts = verdicts_of(line, np.random.default_rng(seed))
            found = level({}, line.size, verdicts, seed, line.size / line.pool)
            old = before(found, verdicts)
            for figure, tally in tallies.items():
                tally.add({"before": old[figure], USED: found["intervals"][figure]})
        case = (
            f"{name}, {line.size} of {line.pool} images, {line.repeats} draws, "
            "{} good and {} defective test images".format(*line.tests)
        )
        for figure, tally in tallies.items():
            yield from tally.rows(f"{NAMES[figure]} of a study's mean over draws", case)


def rows(trials: int) -> Iterator[Row]:
    """Of all promises of the studies."""
    replicates = bootstrap.REPLICATES
    bootstrap.REPLICATES = REPLICATES
    yield from point_rows(trials)
    bootstrap.REPLICATES = replicates
