"""How far what a search reports can be believed: writes reports/searches.md.

Run it with ``make bench-search``. Scores are generated, so that what each set-up truly does is
known. The halving, the choice and the figures are the search's own.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from measuring import table

from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.nested_choice import FOLDS, test_folds
from defectbench.evaluation.promises import Asked, promise
from defectbench.images.index import IndexRow
from defectbench.records import HeldOutScores, Scores
from defectbench.search.budget import Budget, Trial
from defectbench.search.halving import halve
from defectbench.search.merits import compared_by, merits_of_part, pooled_merit
from defectbench.search.outcome import outcome
from defectbench.search.parts import nested_parts
from defectbench.search.space import SetUp
from defectbench.search.trials import Settings
from defectbench.storage import write_text

RATE, CATEGORY, SCORERS = 0.05, "parts", 6
NEW = np.random.default_rng(0).normal(size=100_000)
"""Good images without end; scores of others are shifted."""


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes
    ----------
    name
        What it is called.
    lifts
        By set-up, how far defective images score above good ones, in standard deviations.
    good, defective, training
        Images.
    alike
        Share of the variance that all set-ups have in common.
    """

    name: str
    lifts: Sequence[float]
    good: int = 60
    defective: int = 60
    training: int = 100
    alike: float = 0.5


CASES = [
    Case("60 equal set-ups", [2.2] * 60),
    Case("60, each a little better than the one before", list(np.linspace(0.8, 2.8, 60))),
    Case("60 equal ones, 20 good and 63 defective images", [2.2] * 60, 20, 63, 209),
    Case("60 equal ones, 14 good, 40 defective, 31 to train on", [2.2] * 60, 14, 40, 31),
    Case("60 equal ones, 400 of each kind", [2.2] * 60, 400, 400, 400),
]


def index_of(case: Case) -> list[IndexRow]:
    """Images of a category; only their kinds matter."""
    kinds = [("test", 0)] * case.good + [("test", 1)] * case.defective
    kinds += [("train", 0)] * case.training
    return [
        IndexRow(f"{k}.png", split, label, str(label), "", 8, 8, "L", "")
        for k, (split, label) in enumerate(kinds)
    ]


def search(case: Case, seed: int) -> tuple[tuple[float, float], ...]:
    """True, naive and nested rates of escapes and false alarms of what a search takes."""
    rng = np.random.default_rng([29, seed])
    index = index_of(case)
    images = case.good + case.defective
    labels = np.repeat([0, 1], [case.good, case.defective])
    common, cells, test = rng.normal(size=len(index)), {}, {}
    for k, lift in enumerate(case.lifts):
        noise = rng.normal(size=len(index))
        scores = np.sqrt(case.alike) * common + np.sqrt(1 - case.alike) * noise
        scores[:images] += lift * labels
        name = f"s{k:02}"
        test[name] = scores[:images]
        cells[name] = cell_of(name, labels, scores[:images], scores[images:])
    parts = nested_parts(index, seed)
    settings = Settings(CATEGORY, RATE, "average", *compared_by(index, RATE), "auto", seed, None)

    def try_on(set_up: SetUp, number: int) -> Trial:
        rows = np.array([row for row in parts[number] if row < images])
        own = of_test(labels[rows], test[set_up.name][rows])
        found, auroc = merits_of_part(own, settings.by_part, RATE)
        if number == len(parts) - 1:
            found = pooled_merit(own, cells[set_up.name].good, settings.by, RATE)
        cost = float(set_up.name[1:])
        return Trial(found, auroc, cost, 0, 0, len(rows), tuple(own.scores))

    names = [f"s{k:02}" for k in rng.permutation(len(case.lifts))]
    set_ups = [set_up(name, k) for k, name in enumerate(names)]

    def without(trial: Trial, number: int, fold: int) -> Trial:
        rows = np.array([row for row in parts[number] if row < images])
        left = fold_of[rows] != fold
        own = of_test(labels[rows][left], np.array(trial.scores)[left])
        left_merit, auroc = merits_of_part(own, settings.by_part, RATE)
        return trial._replace(merit=left_merit, auroc=auroc)

    fold_of = test_folds(of_test(labels, labels), seed)
    tried = halve(set_ups, parts, try_on, Budget(None, 1_000_000), without, FOLDS)
    trials = SimpleNamespace(cell=lambda each: cells[each.name])
    found = outcome(tried, trials, settings)
    best = next(iter(found["config"]["methods"]))
    threshold, lift = cells[best].threshold, case.lifts[int(best[1:])]
    true = float((NEW + lift < threshold).mean()), float((threshold <= NEW).mean())
    naive, nested = (
        (figures["escape_rate"], figures["false_alarm_rate"])
        for figures in (found["finalists"][best], found["nested"])
    )
    return true, naive, nested


def of_test(labels: np.ndarray, scores: np.ndarray) -> Scores:
    """Test images, each by itself."""
    return Scores([""] * len(labels), labels, labels, np.full(len(labels), ""), scores)


def set_up(name: str, number: int) -> SetUp:
    """A set-up of one of some scorers."""
    return SetUp(name, "c", {}, {"scorer": f"k{number % SCORERS}", "backbones": ["net"]})


def cell_of(name: str, labels: np.ndarray, scores: np.ndarray, held_out: np.ndarray) -> CellResults:
    """A set-up on all images, with the figures that a choice reads."""
    alone = np.full(len(held_out), "")
    promised = promise(held_out, alone, Asked(RATE))
    test = of_test(labels, scores)
    above = against_promise(test, promised) == "above"
    metrics = {
        "category": CATEGORY,
        "method": name,
        "backbone": "net",
        "thresholds": {"honest": promised["threshold"]},
        "promise": promised,
        "metrics": {"image_auroc": None},
        "intervals": {},
        "at_rate": None,
        "flags": ["above"] * above,
    }
    good = HeldOutScores([""] * len(held_out), alone, np.arange(len(held_out)), held_out)
    return CellResults(metrics, test, good, {}, None, {})


def rows(case: Case, trials: int) -> list[list[object]]:
    """Means over the simulations."""
    found = np.array([search(case, seed) for seed in range(trials)])
    return [
        [case.name, kind, *(f"{1000 * value:.0f}" for value in found[:, :, k].mean(axis=0))]
        for k, kind in enumerate(("escapes", "false alarms"))
    ]


def report(trials: int) -> str:
    """The whole report."""
    lines = [line for case in CASES for line in rows(case, trials)]
    return f"""# How far what a search reports can be believed

Made by `make bench-search` (tests/bench/searching.py): {trials} simulations of each case, scores
from normal distributions, half of their variance common to all set-ups; 60 good and 60 defective
test images and 100 training images where nothing else is said, {100 * RATE:.0f} % asked. Halving,
choice and figures are those of `make best`.

Of 1,000 parts, mean over the simulations, of the set-up that the search takes, at its own
threshold. *True*: on images without end. *Naive*: on the test images that chose it. *Nested*: what
`make best` says is to be expected, on test images each tenth of which is judged by what the search
would have taken without it.

{table(lines, ["case", "figure", "true", "naive", "nested"])}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    text = report(parser.parse_args().trials)
    write_text(Path("reports/searches.md"), text)
    print(text)
