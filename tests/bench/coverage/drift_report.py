"""How soon a change of new images is noticed, beside the false alarms: reports/drift.md."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import drift
import numpy as np
from drift import DAYS, SPREAD, Detector, Images, World
from simulated import USED, Row, quicker

from defectbench.evaluation.drift import ALARMS
from defectbench.reports import markdown

REPORT = Path("reports/drift.md")
MOST = 200
"""Simulations of each change: what is not noticed on one day is on another."""


def rows(trials: int) -> Iterator[Row]:
    """Of days without a change; the report is written on the way."""
    unchanged = list(drift.rows(trials))
    yield from unchanged
    with quicker():
        changed = noticed(min(trials, MOST))
    REPORT.write_text(report(unchanged, changed), encoding="utf-8")


def brighter(factor: float, share: float = 1) -> Callable[[Images], Images]:
    """Light times a factor, on the first part of a day."""

    def change(day: Images) -> Images:
        changed = day.statistics.copy()
        changed[: round(share * len(changed)), :2] *= factor
        return day._replace(statistics=changed)

    return change


def higher(shift: float) -> Callable[[Images], Images]:
    """Scores higher by so many standard deviations."""
    return lambda day: day._replace(scores=day.scores + shift)


CHANGES = {
    "2 % brighter": brighter(1.02),
    "5 % brighter": brighter(1.05),
    "10 % brighter": brighter(1.1),
    "20 % brighter": brighter(1.2),
    "20 % darker, one image in ten": brighter(0.8, 0.1),
    "scores higher by 0.5 standard deviations": higher(0.5),
    "scores higher by 1 standard deviation": higher(1),
}
TRAINED = (20, 100, 300)
BOTTLES, WIDER, MODULES = (
    "light as of bottles",
    "light that spreads five times as much",
    "13 modules",
)
WORLDS = {BOTTLES: World(), WIDER: World(spread=5), MODULES: World(alike=0.5)}


def changes_of(world: str) -> list[str]:
    """Those whose outcome the world changes."""
    return [change for change in CHANGES if world != WIDER or "scores" not in change]


def noticed(trials: int) -> dict[tuple[str, str, int, int, str], float]:
    """Share of the days that name a difference: by world, change, images of both, and method."""
    found: dict[tuple[str, str, int, int, str], float] = {}
    for name, world in WORLDS.items():
        for trained in TRAINED:
            for seed in range(trials):
                detector = Detector(world, np.random.default_rng([trained, seed]), trained)
                for total in DAYS:
                    day = detector.day(total)
                    for change in changes_of(name):
                        altered = CHANGES[change](day)
                        for method, differs in detector.differs(altered).items():
                            key = name, change, trained, total, method
                            found[key] = found.get(key, 0) + bool(differs) / trials
    return found


WORDS = """# Days with and without a change

Made by `make bench-coverage BENCH="--parts drift"` (tests/bench/coverage/drift.py). Each simulated
day has a detector of its own. Brightness and sharpness spread between images as those of the 209
good training images of MVTec AD's bottle: {light:.2%} and {edges:.2%} of their means. Of modules,
half the variance is shared by the images of one, and a new day shows other modules of the same
sizes."""

ALARM_WORDS = """## Days without a change

Share of {trials:,} days that name a difference, before → now, in the worst of {worlds} worlds
(reports/coverage.csv has each); {promised:.0%} at most is promised. Days with too few images to
tell are left out."""

CHANGE_WORDS = """## Days until a change is noticed

On average, by the number of new images a day, before → now; each from {trials} simulated days. *–*:
on none of them, also where the images are too few to tell. A change that alters only the light
leaves the scores as they were, and the other way round."""


def report(unchanged: Sequence[Row], changed: Mapping[tuple, float]) -> str:
    """Both tables."""
    trials = unchanged[0].simulations
    light, edges = SPREAD
    sections = [
        WORDS.format(light=light, edges=edges),
        ALARM_WORDS.format(trials=trials, worlds=len(drift.WORLDS), promised=ALARMS),
        alarm_table(unchanged),
        CHANGE_WORDS.format(trials=min(trials, MOST)),
        change_table(changed),
    ]
    return "\n\n".join(sections) + "\n"


def alarm_table(unchanged: Sequence[Row]) -> str:
    """Worst shares of false alarms."""

    def worst(trained: int, total: int, method: str) -> str:
        end = f", {trained} training images, {total} new ones"
        own = [row for row in unchanged if row.case.endswith(end) and row.method == method]
        return f"{1 - np.nanmin([row.kept for row in own]):.1%}"

    lines = []
    for trained in drift.TRAINED:
        cells = [f"{worst(trained, n, 'before')} → {worst(trained, n, USED)}" for n in DAYS]
        lines.append([str(trained), *cells])
    return markdown.table(["training images", *map(_new, DAYS)], lines)


def change_table(changed: Mapping[tuple, float]) -> str:
    """Mean days until a difference is named."""

    def days(*key: object) -> str:
        return f"{1 / changed[key]:.3g}" if changed[key] else "–"

    lines = []
    for name in WORLDS:
        for change in changes_of(name):
            for trained in TRAINED:
                key = name, change, trained
                cells = [f"{days(*key, n, 'before')} → {days(*key, n, USED)}" for n in DAYS]
                lines.append([name, change, str(trained), *cells])
    return markdown.table(["world", "change", "training images", *map(_new, DAYS)], lines)


def _new(total: int) -> str:
    return f"{total:,} new a day"
