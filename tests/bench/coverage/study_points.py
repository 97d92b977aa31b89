"""Points of the studies: detectors fitted on drawn images, and thresholds set anew."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from image_figures import GRID, Scores, TestSet, draw, separate, shapes
from scipy import stats
from simulated import USED, Interval, Row, Tally

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.intervals import auroc_interval
from defectbench.evaluation.promises import Promise, lowest_threshold, promise
from defectbench.evaluation.rates import effective_size, rate_interval
from defectbench.studies.frozen import frozen_and_reset
from defectbench.studies.levels import level
from defectbench.studies.results import FIGURES, Level, Settings
from defectbench.studies.training_set import nested_subsets
from defectbench.studies.verdicts import Judged, Verdict

SETTINGS = Settings(0.05, "average", 5, 42)
NAMES = dict(zip(FIGURES, ("AUROC", "false alarms", "share found"), strict=True))


class Line(NamedTuple):
    """What is simulated: a line's scores, its photographs, and how they are drawn from.

    Attributes
    ----------
    made
        Scores of good and defective images by the usual detector.
    spread
        Standard deviation of the shift that a draw of `size` images gives to defective ones.
    pool, size, repeats
        Training images that there are; how many a draw takes; draws.
    tests
        Good and defective test images.
    group
        Images of a part, which are alike by `alike`, in training and in test.
    """

    made: Scores
    spread: float
    pool: int
    size: int
    repeats: int
    tests: tuple[int, int]
    group: int = 1
    alike: float = 0.0

    @property
    def share(self) -> float:
        """Of the images that there are, how large a part a draw takes."""
        return self.size / self.pool

    def __str__(self) -> str:
        parts = f" in parts of {self.group}" if self.group > 1 else ""
        drawn = f"{self.repeats} draws of {self.size} of {self.pool} images{parts}"
        return drawn + ", {} good and {} defective test images".format(*self.tests)


class Pool(NamedTuple):
    """Training images that there are: held-out scores, parts, and each part's pull."""

    scores: np.ndarray
    parts: np.ndarray
    groups: np.ndarray
    pulls: np.ndarray

    def promised(self, rows: np.ndarray) -> Promise:
        """Of the threshold that is set on some of them."""
        return promise(self.scores[rows], self.groups[rows], SETTINGS.asked)

    def threshold(self, rows: np.ndarray) -> float:
        """The same threshold, without what it promises."""
        numbers = group_numbers(self.groups[rows])
        return lowest_threshold(self.scores[rows], numbers, SETTINGS.asked)[0]


def pool_of(line: Line, size: int, rng: np.random.Generator) -> Pool:
    """So many new training images."""
    parts = np.arange(size) // line.group
    n = int(parts.max()) + 1
    latent = line.alike**0.5 * rng.normal(size=n)[parts]
    latent += (1 - line.alike) ** 0.5 * rng.normal(size=size)
    groups = parts.astype(str) if line.group > 1 else np.full(size, "")
    pulls = line.spread * (line.size / line.group) ** 0.5 * rng.normal(size=n)
    return Pool(line.made.good(stats.norm.cdf(latent)), parts, groups, pulls)


def verdict_of(line: Line, test: TestSet, pool: Pool, rows: np.ndarray) -> Verdict:
    """Of a detector that is fitted on some images, whose pull defective scores follow."""
    shift = pool.pulls[np.unique(pool.parts[rows])].mean()
    scores = test.scores(line.made) + shift * test.labels
    promised = pool.promised(rows)
    called = scores >= promised["threshold"]
    judged = Judged(test.labels, test.groups, "simulated")
    return Verdict(judged, scores, called, promised["threshold"], promised)


def verdicts_of(line: Line, rng: np.random.Generator) -> list[Verdict]:
    """Each draw's, all on the same test images; all images are new in each simulation."""
    test = draw(rng, *line.tests, group_size=line.group, alike=line.alike)
    pool = pool_of(line, line.pool, rng)
    seed = int(rng.integers(1 << 30))
    return [
        verdict_of(line, test, pool, nested_subsets(pool.groups, [line.size], [seed, r])[0])
        for r in range(line.repeats)
    ]


def truths(line: Line) -> dict[str, float]:
    """Mean figures over draws from all images of the line, on all of its test images."""
    rng = np.random.default_rng(0)
    shifts = line.spread * rng.normal(size=20_000)
    good, defective = np.sort(line.made.good(GRID)), np.sort(line.made.defective(GRID))
    below = [
        np.searchsorted(good, rng.choice(defective, len(shifts)) + shifts, side)
        for side in ("left", "right")
    ]
    few = 4000
    pools = [pool_of(line, line.size, rng) for _ in range(few)]
    thresholds = np.array([pool.threshold(np.arange(line.size)) for pool in pools])
    rates = 1 - np.searchsorted(good, thresholds) / len(good)
    recalls = 1 - np.searchsorted(defective, thresholds - shifts[:few]) / len(defective)
    figures = np.mean(below) / len(good), rates.mean(), recalls.mean()
    return dict(zip(FIGURES, map(float, figures), strict=True))


def before(found: Level, verdicts: Sequence[Verdict]) -> dict[str, Interval]:
    """The intervals when draws counted as if each were of images of its own, and many."""
    ranking = found["ranking"]
    added = {
        name: np.var([each[name] for each in found["repeats"]], ddof=1) / len(verdicts)
        for name in FIGURES
    }
    variance = ranking["variance"] + added["image_auroc"]
    intervals = {"image_auroc": auroc_interval(found["image_auroc"], variance, *ranking["units"])}
    for label, name in enumerate(FIGURES[1:]):
        sizes = []
        for images, _, called, *_ in verdicts:
            own = images.labels == label
            sizes.append(effective_size(called[own], images.groups[own]))
        mean, of = found[name], min(sizes)
        if 0 < mean < 1:
            of = mean * (1 - mean) / (mean * (1 - mean) / of + added[name])
        intervals[name] = rate_interval(mean, of)
    return intervals


def lines() -> Iterator[tuple[str, Line]]:
    """All cases of a mean over draws."""
    for name, made in shapes(0.9):
        title = f"AUROC 0.9, {name}"
        yield title, Line(made, 0.5, 80, 20, 3, (20, 60))
        yield title, Line(made, 0.5, 80, 20, 3, (10, 10))
        yield title, Line(made, 0.5, 80, 50, 3, (200, 200))
        yield title, Line(made, 0.5, 96, 48, 5, (40, 40), 4, 0.7)
    for name, made in shapes(0.98):
        yield f"AUROC 0.98, {name}", Line(made, 0.5, 80, 40, 3, (60, 60))
        yield f"AUROC 0.98, {name}", Line(made, 0.5, 80, 20, 5, (20, 60))
    yield "no overlap", Line(separate(), 0.1, 80, 20, 3, (20, 60))


def point_rows(trials: int) -> Iterator[Row]:
    """Of the figures of a mean over draws."""
    for name, line in lines():
        tallies = {figure: Tally(truth) for figure, truth in truths(line).items()}
        for seed in range(trials):
            verdicts = verdicts_of(line, np.random.default_rng(seed))
            found = level({}, line.size, verdicts, seed, line.share)
            old = before(found, verdicts)
            for figure, tally in tallies.items():
                tally.add({"before": old[figure], USED: found["intervals"][figure]})
        for figure, tally in tallies.items():
            yield from tally.rows(f"{NAMES[figure]} of other draws", f"{name}, {line}")


def reset_cases() -> Iterator[tuple[str, Line]]:
    """Thresholds set on half of the good test images; of parts, in groups of four."""
    for auroc in (0.9, 0.98):
        for name, made in shapes(auroc):
            for tests in ((20, 60), (60, 200), (200, 200)):
                half = tests[0] // 2
                yield f"AUROC {auroc}, {name}", Line(made, 0, half, half, 1, tests)
            yield f"AUROC {auroc}, {name}", Line(made, 0, 96, 96, 1, (192, 96), 4, 0.5)


def reset_rows(trials: int) -> Iterator[Row]:
    """Of a threshold set anew on half of the good test images."""
    for name, line in reset_cases():
        truth = truths(line)
        tallies = {figure: Tally(truth[figure]) for figure in FIGURES[1:]}
        for seed in range(trials):
            rng = np.random.default_rng(seed)
            test = draw(rng, *line.tests, group_size=line.group, alike=line.alike)
            judged = Judged(test.labels, test.groups, "simulated")
            settings = SETTINGS._replace(seed=seed)
            _, reset = frozen_and_reset({}, judged, test.scores(line.made), 0, settings)
            for label, (figure, tally) in enumerate(tallies.items()):
                old = rate_interval(reset[figure], line.tests[label])
                tally.add({"before": old, USED: reset["intervals"][figure]})
        for figure, tally in tallies.items():
            parts = f" in parts of {line.group}" if line.group > 1 else ""
            case = "{}, {} good and {} defective{}".format(name, *line.tests, parts)
            yield from tally.rows(f"{NAMES[figure]} with a threshold set anew", case)
