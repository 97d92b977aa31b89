"""How far a choice among detectors can be believed: writes reports/choices.md.

Run it with ``make bench-choices``. Scores are generated, so that what each detector truly does is
known: of equal detectors none is better, and what the chosen one looks like on the images that
chose it is luck.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import table
from simulated import quicker

from defectbench.evaluation.at_rate import escapes_at_rate
from defectbench.evaluation.averages import escapes_of, paired_differences
from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import ESCAPES, Merits, choose, simultaneous
from defectbench.evaluation.nested_choice import nested_figures
from defectbench.evaluation.promises import Asked, promise
from defectbench.records import HeldOutScores, Scores
from defectbench.storage import write_text

RATE, CATEGORY = 0.05, "parts"
KINDS = ("escape_rate", "false_alarm_rate")
NEW = np.random.default_rng(0).normal(size=200_000)
"""Good images without end; scores of others are shifted and scaled."""


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes
    ----------
    name
        What it is called.
    lifts
        By detector, how far defective images score above good ones, in standard deviations.
    good, defective, training
        Images.
    photographs
        Of each part, which score nearly alike.
    alike
        Share of the variance that all detectors have in common.
    """

    name: str
    lifts: Sequence[float]
    good: int = 60
    defective: int = 60
    training: int = 59
    photographs: int = 1
    alike: float = 0.5


CASES = [
    Case("13 equal detectors", [2.2] * 13),
    Case("13 equal ones, 20 good and 63 defective images", [2.2] * 13, 20, 63, 209),
    Case("13 equal ones, 4 photographs of each part", [2.2] * 13, 80, 80, 80, 4),
    Case("13 detectors, each a little better", list(np.linspace(1.4, 2.6, 13))),
    Case("2 equal detectors", [2.2] * 2),
    Case("3 equal ones, 300 good and 300 defective images", [2.2] * 3, 300, 300, 300),
]


def cells_of(case: Case, rng: np.random.Generator) -> list[CellResults]:
    """Every detector on one set of test images, each with a threshold by images of its own."""
    labels = np.repeat([0, 1], [case.good, case.defective])
    parts = [f"part {k // case.photographs}" for k in range(len(labels))]
    groups = np.array(parts if case.photographs > 1 else [""] * len(labels))
    common = _noise(rng, len(labels), case.photographs)
    cells = []
    for k, lift in enumerate(case.lifts):
        own = _noise(rng, len(labels), case.photographs)
        scores = np.sqrt(case.alike) * common + np.sqrt(1 - case.alike) * own + lift * labels
        training = _noise(rng, case.training, case.photographs)
        names = groups[: case.training] if case.photographs > 1 else [""] * case.training
        promised = promise(training, names, Asked(RATE))
        test = Scores([str(k) for k in range(len(labels))], labels, labels, groups, scores)
        metrics = {
            "category": CATEGORY,
            "method": f"d{k:02}",
            "backbone": "net",
            "thresholds": {"honest": promised["threshold"]},
            "promise": promised,
        }
        good = HeldOutScores([], np.array(names), training, training)
        cells.append(CellResults(metrics, test, good, {"model_bytes": 1}, None, {}))
    return cells


def _noise(rng: np.random.Generator, count: int, photographs: int) -> np.ndarray:
    """Normal, of variance 1; photographs of a part share 0.8 of it."""
    if photographs == 1:
        return rng.normal(size=count)
    shared = np.repeat(rng.normal(size=-(-count // photographs)), photographs)[:count]
    return np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(size=count)


def with_escapes(cell: CellResults, seed: int) -> CellResults:
    """The cell with its escapes at the rate asked, and their replicates."""
    found, replicates = escapes_at_rate(cell.test, RATE, seed, CATEGORY)
    cell.metrics["at_rate"] = found
    cell.replicates["escape_rate"] = replicates
    return cell


def chosen(cells: Sequence[CellResults]) -> CellResults:
    """The detector that the page would take."""
    merits = {
        cell.detector: Merits(
            1 - cell.metrics["at_rate"]["escape_rate"],
            None,
            cell.cost["model_bytes"],
            against_promise(cell.test, cell.metrics["promise"]) == "above",
        )
        for cell in cells
    }
    best = choose(merits, {}).tied[0]
    return next(cell for cell in cells if cell.detector == best)


def true_rates(cell: CellResults, lift: float) -> tuple[float, float]:
    """Escapes and false alarms of a detector at its own threshold, on images without end."""
    return float((NEW + lift < cell.threshold).mean()), float((cell.threshold <= NEW).mean())


def seen_rates(cell: CellResults) -> tuple[float, float]:
    """The same on the test images."""
    called = cell.test.scores >= cell.threshold
    labels = cell.test.labels
    return float((~called[labels == 1]).mean()), float(called[labels == 0].mean())


def optimism(case: Case, trials: int) -> Iterator[list[object]]:
    """Rows: true, naive and nested figures of the choice."""
    names = [f"d{k:02} net" for k in range(len(case.lifts))]
    true, naive, nested, held = [], [], [], []
    for trial in range(trials):
        cells = cells_of(case, np.random.default_rng([17, trial]))
        own = [with_escapes(cell, trial) for cell in cells]
        best = chosen(own)
        found = nested_figures(cells, ESCAPES, RATE, trial)
        lift = case.lifts[names.index(best.detector)]
        true.append(true_rates(best, lift))
        naive.append(seen_rates(best))
        nested.append([found[kind] for kind in KINDS])
        ends = [found[f"{kind}_interval"] for kind in KINDS]
        held.append([low <= t <= high for (low, high), t in zip(ends, true[-1], strict=True)])
    for k, kind in enumerate(("escapes", "false alarms")):
        means = [f"{1000 * np.mean(each, axis=0)[k]:.0f}" for each in (true, naive, nested)]
        yield [case.name, kind, *means, f"{100 * np.mean(held, axis=0)[k]:.1f}"]


def beaten(case: Case, trials: int) -> list[object]:
    """How often a pair's interval holds the true difference, and a detector is wrongly beaten."""
    holds, once, together = [], [], []
    for trial in range(trials):
        cells = cells_of(case, np.random.default_rng([23, trial]))
        cells = [with_escapes(cell, trial) for cell in cells]
        frame = paired_differences(cells, escapes_of)
        pairs = frame[frame["category"] == CATEGORY]
        holds.append(float(((pairs["low"] <= 0) & (pairs["high"] >= 0)).mean()))
        escapes = {cell.detector: cell.metrics["at_rate"]["escape_rate"] for cell in cells}
        best = min(escapes, key=escapes.get)
        own = [
            _minus(row, best)
            for row in pairs.itertuples(index=False)
            if best in (row.first, row.second)
        ]
        once.append(any(high < 0 for _, _, high in own))
        all_others = [simultaneous(each, len(own)) for each in own]
        together.append(any(high < 0 for _, _, high in all_others))
    shares = [f"{100 * np.mean(each):.1f}" for each in (holds, once, together)]
    return [case.name, *shares]


def _minus(row: tuple, best: str) -> tuple[float, float, float]:
    """Escapes of the best one minus those of the other."""
    first, _, _, value, low, high = row
    return (value, low, high) if first == best else (-value, -high, -low)


def report(trials: int) -> str:
    """The whole report."""
    with quicker(200):
        figures = [line for case in CASES for line in optimism(case, trials)]
        equal = [case for case in CASES if len(set(case.lifts)) == 1]
        shares = [beaten(case, trials) for case in equal]
    return f"""# How far a choice among detectors can be believed

Made by `make bench-choices` (tests/bench/choices.py): {trials} simulations of each case, scores
from normal distributions, half of their variance common to all detectors; 60 good and 60 defective
test images and 59 training images where nothing else is said, {100 * RATE:.0f} % asked.

## What the chosen detector does

Of 1,000 parts, mean over the simulations, at the chosen detector's own threshold. *True*: on
images without end. *Naive*: on the test images that chose it. *Nested*: on test images that did not
choose, each tenth by the choice of the others. *Interval held*: in how many of 100 simulations the
95 % interval of rates, of the nested figure, held the true one; the page prints none for it.

{table(figures, ["case", "figure", "true", "naive", "nested", "interval held"])}

## Whether another is beaten

None of these detectors is better than another. *Interval holds*: of the difference of two, in how
many of 100. *Beaten, one by one*: in how many of 100 simulations the first was called better than
some other by the interval of these two alone. *Beaten, together*: by intervals that hold for all
comparisons together, as the page compares them.

{table(shares, ["case", "interval holds", "beaten, one by one", "beaten, together"])}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    text = report(parser.parse_args().trials)
    write_text(Path("reports/choices.md"), text)
    print(text)
