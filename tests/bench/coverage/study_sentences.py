"""Sentences of the studies where what they say is wrong, by little: how often they say it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from image_figures import GRID, Scores, TestSet, draw, shapes
from simulated import USED, Row, quicker
from study_features import feature_rows
from study_points import (
    SETTINGS,
    Line,
    Pool,
    point_rows,
    pool_of,
    reset_rows,
    truths,
    verdict_of,
    verdicts_of,
)

from defectbench.studies.answers import robustness_answers
from defectbench.studies.frozen import frozen_and_reset
from defectbench.studies.levels import level
from defectbench.studies.results import ALL, CLEAN, Level
from defectbench.studies.size_answers import training_size_answers
from defectbench.studies.training_set import nested_subsets
from defectbench.studies.verdicts import Judged

REPLICATES = 100
"""Of the bootstrap, of which only the variance counts here: fewer than the product draws."""

NAMES = {"a net": "a", "b net": "b"}


def result(levels: Sequence[Level], asked: float = 0.05, name: str = "a") -> dict[str, Any]:
    """A study of one detector."""
    return {
        "category": "simulated",
        "detector": f"{name} net",
        "levels": list(levels),
        "false_positive_rate": asked,
        "rule": "average",
    }


class Claim(NamedTuple):
    """What is never to be said in a case, and what may be: parts of sentences."""

    figure: str
    wrong: str
    said: tuple[str, ...]


def claim_row(claim: Claim, case: str, answers: Sequence[str]) -> Row:
    """How often a wrong sentence was not said, and how often any was."""
    right = [claim.wrong not in answer for answer in answers]
    told = [any(each in answer for each in claim.said) for answer in answers]
    shares = float(np.mean(right)), float("nan"), float(np.mean(told))
    return Row(claim.figure, case, USED, 0.95, *shares, len(answers))


KEEPS = ("False alarms keep", "False alarms exceed")
KEPT = [
    Claim("“keeps the rate” where it does not", KEEPS[0], KEEPS),
    Claim("“exceeds the rate” where it does not", KEEPS[1], KEEPS),
]


def rate_rows(trials: int) -> Iterator[Row]:
    """Of a rate asked for that is a little less, or more, than what thresholds keep."""
    made = dict(shapes(0.9))["binormal"]  # ranks alone set a threshold: any shape will do
    for tests, group in (((60, 60), 1), ((600, 60), 1), ((240, 60), 4)):
        line = Line(made, 0.5, 96, 48, 5, tests, group, 0.7 if group > 1 else 0)
        truth = truths(line)["false_positive_rate"]
        answers: list[list[str]] = [[], []]
        for seed in range(trials):
            verdicts = verdicts_of(line, np.random.default_rng(seed))
            point = level({"level": 48, "groups": 48.0}, 48, verdicts, seed, line.share)
            for found, factor in zip(answers, (0.98, 1.02), strict=True):
                studied = result([point], truth * factor)
                found += training_size_answers([studied], NAMES)
        for claim, found in zip(KEPT, answers, strict=True):
            yield claim_row(claim, str(line), found)


def detectors_of(
    line: Line, gain: float, rng: np.random.Generator, test: TestSet, pool: Pool
) -> list[Level]:
    """Points of draws and of all images, of which a detector has more to gain."""
    seed = int(rng.integers(1 << 30))
    rows = [nested_subsets(pool.groups, [line.size], [seed, r])[0] for r in range(line.repeats)]
    drawn = [verdict_of(line, test, pool, each) for each in rows]
    every = verdict_of(line, test, pool, np.arange(line.pool))
    every = every._replace(scores=every.scores + gain * test.labels)
    counts = {"groups": float(line.size)}
    return [
        level({"level": line.size, **counts}, line.size, drawn, seed, line.share),
        level({"level": ALL, "groups": float(line.pool)}, line.pool, [every], seed),
    ]


def gain_of(line: Line, wanted: float) -> float:
    """Shift of the detector of all images by which its AUROC is more by so much, on average."""
    start = truths(line)["image_auroc"]
    # of all images, a detector is less the draw's
    whole = line._replace(spread=line.spread * line.share**0.5)
    low, high = -2.0, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        moved = Scores(line.made.good, lambda u, by=middle: line.made.defective(u) + by)
        if truths_of_auroc(whole._replace(made=moved)) - start > wanted:
            high = middle
        else:
            low = middle
    return middle


def truths_of_auroc(line: Line) -> float:
    """The AUROC of `truths` alone."""
    good, defective = np.sort(line.made.good(GRID)), np.sort(line.made.defective(GRID))
    rng = np.random.default_rng(0)
    shifts = line.spread * rng.normal(size=20_000)
    return float(np.searchsorted(good, rng.choice(defective, 20_000) + shifts).mean() / len(good))


SIZES = ("images are enough", "more than you have")


def size_rows(trials: int) -> Iterator[Row]:
    """Of all images that gain a little more than a point over a number, or a little less."""
    wrong = dict(zip((0.011, 0.009), SIZES, strict=True))
    for name, made in shapes(0.95):
        for tests in ((60, 60), (400, 400)):
            line = Line(made, 0.1, 80, 40, 5, tests)
            for wanted, sentence in wrong.items():
                gain = gain_of(line, wanted)
                answers = []
                for seed in range(trials):
                    rng = np.random.default_rng(seed)
                    test, pool = draw(rng, *tests), pool_of(line, line.pool, rng)
                    points = detectors_of(line, gain, rng, test, pool)
                    answers += training_size_answers([result(points)], NAMES)
                claim = Claim(f"“{sentence}” where it is not so", sentence, SIZES)
                yield claim_row(claim, f"gains {wanted}, {name}, {line}", answers)


TURNS = Claim(
    "“the ranking turns” where two detectors are the same",
    ": the ranking turns",
    (": the ranking turns",),
)


def ranking_rows(trials: int) -> Iterator[Row]:
    """Of two detectors that are the same on average."""
    for name, made in shapes(0.9):
        line = Line(made, 0.2, 80, 20, 5, (100, 100))
        answers = []
        for seed in range(trials):
            rng = np.random.default_rng(seed)
            test = draw(rng, *line.tests)
            both = []
            for place, letter in enumerate("ab"):
                mine = test._replace(places=test.places[place:])
                points = detectors_of(line, 0, rng, mine, pool_of(line, line.pool, rng))
                both.append(result(points, name=letter))
            answers.append(training_size_answers(both, NAMES)[-1])
        yield claim_row(TURNS, f"{name}, {line}", answers)


LIGHTS = (": the frozen threshold holds", "stop the line")


def light_rows(trials: int) -> Iterator[Row]:
    """Of lights in which false alarms are a little more than twice the rate asked for, or less."""
    for count, group in ((20, 1), (60, 1), (400, 1), (120, 4)):
        for rate, wrong in ((0.102, LIGHTS[0]), (0.098, LIGHTS[1])):
            answers = []
            for seed in range(trials):
                answers.append("\n".join(_lights(count, group, rate, np.random.default_rng(seed))))
            claim = Claim(f"“{wrong.lstrip(': ')}” where it is not so", wrong, LIGHTS)
            parts = f" in parts of {group}" if group > 1 else ""
            yield claim_row(
                claim, f"{rate:.1%} in three lights, {count} good images{parts}", answers
            )


def _lights(count: int, group: int, rate: float, rng: np.random.Generator) -> list[str]:
    """Answers of a frozen threshold that 3 % of good clean images reach, and so many of others."""
    test = draw(rng, count, count, group, 0.5 if group > 1 else 0)
    judged = Judged(test.labels, test.groups, "simulated")
    levels = []
    for severity in (0, -10, 10, 20):
        # each light changes a fifth of what makes an image's score
        other = draw(rng, count, count, group, 0.5 if group > 1 else 0)
        scores = np.where(rng.random(2 * count) < 0.2, other.places[0], test.places[0])
        scores = scores + test.labels
        name = "brightness" if severity else CLEAN
        threshold = 1 - (rate if severity else 0.03)
        varied = {"perturbation": name, "level": severity}
        levels += frozen_and_reset(varied, judged, scores, threshold, SETTINGS)
    return robustness_answers([result(levels)], NAMES)


SECTIONS = (
    point_rows,
    feature_rows,
    reset_rows,
    rate_rows,
    size_rows,
    ranking_rows,
    light_rows,
)


def rows(trials: int) -> Iterator[Row]:
    """Of all promises of the studies, a core for each section."""
    with ProcessPoolExecutor() as pool:
        for found in pool.map(_section, SECTIONS, [trials] * len(SECTIONS)):
            yield from found


def _section(section: Callable[[int], Iterator[Row]], trials: int) -> list[Row]:
    with quicker(REPLICATES):
        return list(section(trials))
