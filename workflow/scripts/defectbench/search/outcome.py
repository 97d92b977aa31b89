"""What a search found: the set-up to take, and what it does to images that did not choose it."""

from collections.abc import Mapping
from typing import Any

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import STABILITY, Merits, ranked
from defectbench.evaluation.nested_choice import Take, found_above, nested_figures
from defectbench.evaluation.operating_points import operating_point
from defectbench.search.budget import Trial, Tried
from defectbench.search.halving import Search, in_rank
from defectbench.search.merits import pooled_merit
from defectbench.search.space import SetUp
from defectbench.search.trials import Settings, Trials

AS_FAST = 1.1
"""How many times longer an image may take and a set-up count as fast as the fastest."""

AS_STABLE = 1.1
"""How many times less stable a set-up may be than the best one and count as its equal."""


def outcome(search: Search, trials: Trials, settings: Settings) -> dict[str, Any]:
    """The result of a search, as plain data.

    Parameters
    ----------
    search
        From `halving.halve`.
    trials, settings
        That made them.

    Returns
    -------
    dict
        ``by``, ``by_part``: what was compared; ``tried``: name, part, merit, AUROC, milliseconds,
        problem of each, the best of the last part first; ``finalists``: figures at their own
        thresholds; ``best``: name of the one to take, None where none keeps its promise or ranks
        better than guessing; ``config``: its entries; ``nested``: from
        `nested_choice.nested_figures`.
    """
    order = sorted(in_rank(search.tried), key=lambda e: (bool(e.trial.problem), -e.part))
    everyone = {name for names in search.finalists.values() for name in names}
    on_all = {each.set_up.name: each for each in order if each.set_up.name in everyone}
    costs = {name: each.trial.milliseconds for name, each in on_all.items()}
    cells = {name: trials.cell(each.set_up) for name, each in on_all.items()}
    final = [each for each in order if each.set_up.name in search.finalists[None]]
    by = settings.by
    merits = {each.set_up.name: _merits(each.trial, cells[each.set_up.name], by) for each in final}
    first = next(iter(cells.values()))
    take = least_that_is_as_good(1 / _defective(first)) if by != STABILITY else _stable_and_cheap
    best = take(merits)
    nested = None
    if by != STABILITY:
        nested = nested_figures(
            list(cells.values()),
            by,
            settings.rate,
            settings.seed,
            take,
            lambda cell: costs[cell.metrics["method"]],
            lambda cell, left: pooled_merit(left, cell.good, by, settings.rate),
            {
                fold: {cells[name].detector for name in names}
                for fold, names in search.finalists.items()
            },
        )
    usable = by == STABILITY or _tells(cells[best])
    chosen = next(each.set_up for each in final if each.set_up.name == best)
    return {
        "by": by,
        "by_part": settings.by_part,
        "tried": [_row(each) for each in order],
        "finalists": {name: _figures(cells[name], costs[name]) for name in merits},
        "best": best if usable and not merits[best].breaks else None,
        "config": _config(chosen),
        "nested": nested,
    }


def least_that_is_as_good(slack: float) -> Take:
    """Takes the fastest of those that let one defective image more slip through than the best.

    At the rate asked for, and then at their own thresholds, too: these are what is delivered. Of
    those that are about as fast, the first in rank.

    Parameters
    ----------
    slack
        That image's share of the defective ones: a difference that these images cannot tell.
    """

    def take(merits: Mapping[str, Merits]) -> str:
        order = ranked(merits)
        keeping = [name for name in order if not merits[name].breaks] or order
        enough = merits[keeping[0]].merit - slack - 1e-9
        good = [name for name in keeping if merits[name].merit >= enough]
        most = max(merits[name].found for name in good)
        equal = [name for name in good if merits[name].found >= most - slack - 1e-9]
        fast = AS_FAST * min(merits[name].cost for name in equal)
        return next(name for name in equal if merits[name].cost <= fast)

    return take


def _merits(trial: Trial, cell: CellResults, by: str) -> Merits:
    breaks = "above" in cell.metrics["flags"]
    delivers = by != STABILITY and cell.threshold is not None
    found = found_above(cell.test, cell.threshold) if delivers else 1.0
    return Merits(trial.merit, trial.auroc, trial.milliseconds, breaks, found=found)


def _stable_and_cheap(merits: Mapping[str, Merits]) -> str:
    best = max(each.merit for each in merits.values())
    return min(
        (name for name, each in merits.items() if each.merit >= AS_STABLE * best),
        key=lambda name: merits[name].cost,
    )


def _defective(cell: CellResults) -> int:
    return int((cell.test.labels == 1).sum())


def _tells(cell: CellResults) -> bool:
    """Whether the set-up ranks clearly better than guessing."""
    low = cell.metrics["intervals"].get("image_auroc", (None,))[0]
    return low is None or low > 0.5


def _row(each: Tried) -> dict[str, Any]:
    trial = each.trial
    return {
        "name": each.set_up.name,
        "canvas": each.set_up.canvas,
        "detector": each.set_up.method["scorer"],
        "part": each.part,
        "images": trial.images,
        "merit": trial.merit,
        "auroc": trial.auroc,
        "milliseconds": trial.milliseconds,
        "problem": trial.problem,
    }


def _figures(cell: CellResults, milliseconds: float) -> dict[str, Any]:
    point = operating_point(cell.test, cell.metrics["promise"])
    return {
        "milliseconds": milliseconds,
        "auroc": cell.metrics["metrics"]["image_auroc"],
        "auroc_interval": cell.metrics["intervals"].get("image_auroc"),
        "at_rate": cell.metrics["at_rate"],
        "flags": cell.metrics["flags"],
        **point,
    }


def _config(set_up: SetUp) -> dict[str, Any]:
    return {
        "preprocessings": {set_up.canvas: dict(set_up.preprocessing)},
        "methods": {set_up.name: dict(set_up.method)},
    }
