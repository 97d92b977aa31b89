"""Which detector to take, which threshold, what slips through: the decision as data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.evaluation.advice import advice
from defectbench.evaluation.averages import AVERAGE, escapes_of, paired_differences
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import ESCAPES, Difference, Merits, choose, compares
from defectbench.evaluation.intervals import mean_interval
from defectbench.evaluation.nested_choice import nested_figures
from defectbench.evaluation.operating_points import (
    cost_point,
    mean_point,
    operating_point,
    operating_points,
    together,
)
from defectbench.evaluation.prevalence import on_the_line, shown_by_test_parts
from defectbench.evaluation.reviewed import reviewed_figures
from defectbench.evaluation.usability import usability


def decide(
    categories: Sequence[str],
    cells: Sequence[CellResults],
    tidy: pd.DataFrame,
    differences: pd.DataFrame,
    rates: Sequence[float],
    costs: Mapping[str, float] | None,
    defective_share: float | None,
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that the decision says, as plain data.

    Times are left out, because they differ from run to run and the decision must not.

    Parameters
    ----------
    categories
        All of the dataset.
    cells
        Every detector on every category of the run.
    tidy, differences
        From `averages.tidy_results` and `averages.paired_differences`.
    rates
        Asked false-positive rates of the operating points.
    costs, defective_share
        See `operating_points.cost_point`; None for none. The costs need the share.
    limits
        See `usability.usability`.

    Returns
    -------
    dict
        ``covers`` (the ``categories`` of the run, ``of`` how many), ``asked`` rate, ``rule`` of the
        thresholds, ``costs``, ``defective_share``, ``limits``,
        ``overall`` (a choice, what its thresholds do to all test images together, on the
        ``line``, see `prevalence.on_the_line`, and to images that did not choose it, ``nested``),
        ``categories`` (a choice each, with the cell that is ``shown``, its ``usability`` and
        ``advice``), ``detectors`` by AUROC,
        ``cells`` with their operating points, of which ``honest`` is at the threshold in print and
        ``held_out`` at that of held-out training images.
    """
    figures = [_cell_figures(cell, rates, costs, defective_share) for cell in cells]
    averages = _averages(tidy, cells)
    # a mean over fewer categories is of other images, so it cannot be compared with the others
    everywhere = max((entry["categories"] for entry in averages.values()), default=0)
    compared = {name: e for name, e in averages.items() if e["categories"] == everywhere}
    pairs = {"auroc": differences, "escapes": paired_differences(cells, escapes_of)}
    overall = _choice(compared, pairs, AVERAGE)
    chosen = overall["recommended"]
    own = [cell for cell in cells if cell.detector in compared]
    seed, asked = cells[0].metrics["seed"], cells[0].metrics["promise"]["asked"]
    overall["nested"] = nested_figures(own, overall["by"], asked, seed) if chosen else None
    covered = list(dict.fromkeys(entry["category"] for entry in figures))
    taken = chosen or (overall["tied"] or list(averages))[0]
    both = together([entry["honest"] for entry in figures if entry["detector"] == taken])
    return {
        "covers": {"categories": covered, "of": len(categories)},
        "asked": asked,
        "rule": cells[0].metrics["promise"]["rule"],
        "costs": dict(costs) if costs else None,
        "defective_share": defective_share,
        "limits": dict(limits),
        "overall": overall | {"shown": taken, **both, "line": on_the_line(both, defective_share)},
        "categories": [_category(category, figures, pairs, chosen, limits) for category in covered],
        "detectors": _in_order(averages.values()),
        "cells": figures,
    }


def _cell_figures(
    cell: CellResults,
    rates: Sequence[float],
    costs: Mapping[str, float] | None,
    defective_share: float | None,
) -> dict[str, Any]:
    promised, thresholds = cell.metrics["promise"], cell.metrics["thresholds"]
    metrics, reason = cell.metrics["metrics"], cell.metrics["reasons"].get("image_auroc")
    low, high = cell.metrics["intervals"].get("image_auroc", (None, None))
    honest = mean_point(
        [operating_point(each.test, each.metrics["promise"]) for each in cell.seeds]
    )
    by_seed = [
        operating_points(each.test, each.good, rates, promised["folds"]) for each in cell.seeds
    ]
    by_cost = [
        cost_point(each.test, each.good, costs, defective_share) if costs else None
        for each in cell.seeds
    ]
    return {
        "category": cell.category,
        "detector": cell.detector,
        "method": cell.metrics["method"],
        "backbone": cell.metrics["backbone"],
        "made": cell.metrics["specification"],
        "images": dict(cell.metrics["images"]),
        "auroc": None if reason else metrics["image_auroc"],
        "auroc_interval": [None, None] if reason else [low, high],
        "reason": reason,
        "aupr": metrics["aupr"],
        "balanced_accuracy": metrics["honest_balanced_accuracy"],
        "pixel": dict(cell.pixels.get("metrics", {})),
        "oracle_threshold": thresholds["oracle"],
        "honest": honest,
        "threshold_range": cell.metrics.get("threshold_range"),
        "line": on_the_line(honest, defective_share),
        "test_parts": shown_by_test_parts(cell.test),
        "at_rate": cell.metrics["at_rate"],
        "model_bytes": cell.cost["model_bytes"],
        "set_by": cell.metrics["set_by"],
        "found_by_size": cell.metrics["found_by_size"],
        "reviewed": reviewed_figures(cell),
        "flags": list(cell.metrics["flags"]),
        "cautions": list(cell.metrics["cautions"]),
        "held_out": cell.metrics["held_out"],
        "points": [mean_point(points) for points in zip(*by_seed, strict=True)],
        "cost_point": None if None in by_cost else mean_point(by_cost),
    }


def _averages(tidy: pd.DataFrame, cells: Sequence[CellResults]) -> dict[str, dict[str, Any]]:
    """Per detector, in the order of the cells: mean figures over its categories."""
    rows = tidy[tidy["category"] == AVERAGE].set_index(["method", "backbone", "metric"])
    found: dict[str, dict[str, Any]] = {}
    of_detector: dict[str, list[CellResults]] = {}
    for cell in cells:
        of_detector.setdefault(cell.detector, []).append(cell)
    for cell in cells:
        method, backbone = cell.metrics["method"], cell.metrics["backbone"]
        auroc = _row(rows, (method, backbone, "image_auroc"))
        accuracy = _row(rows, (method, backbone, "honest_balanced_accuracy"))
        own = of_detector[cell.detector]
        found[cell.detector] = {
            "detector": cell.detector,
            "method": method,
            "backbone": backbone,
            "auroc": auroc["value"],
            "auroc_interval": [auroc["low"], auroc["high"]],
            "categories": int(auroc["categories"] or 0),
            "balanced_accuracy": accuracy["value"],
            "at_rate": _at_rate_over_categories([each.metrics["at_rate"] for each in own]),
            "model_bytes": sum(each.cost["model_bytes"] for each in own),
            "flags": sorted({flag for each in own for flag in each.metrics["flags"]}),
        }
    return found


def _at_rate_over_categories(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean escape rate over the categories, None where one has none."""
    rates = [each["escape_rate"] for each in found]
    if None in rates:
        return {"escape_rate": None, "escape_rate_interval": None}
    limits = [each["escape_rate_interval"] for each in found]
    return {
        "escape_rate": float(sum(rates) / len(rates)),
        "escape_rate_interval": mean_interval(rates, limits),
    }


def _row(rows: pd.DataFrame, key: tuple[str, ...]) -> dict[str, float | None]:
    """A row of the averages, None for what is not known."""
    row = rows.loc[key] if key in rows.index else {}
    names = ("value", "low", "high", "categories")
    return {name: None if pd.isna(row.get(name)) else float(row[name]) for name in names}


def _pairs(
    differences: pd.DataFrame, category: str, sign: int
) -> dict[tuple[str, str], Difference]:
    """Differences in merit by the names of two detectors, in either order."""
    found = {}
    for row in differences[differences["category"] == category].itertuples():
        value = sign * float(row.value)
        low, high = sorted((sign * float(row.low), sign * float(row.high)))
        found[row.first, row.second] = value, low, high
        found[row.second, row.first] = -value, -high, -low
    return found


def _choice(
    entries: Mapping[str, Mapping[str, Any]], pairs: Mapping[str, pd.DataFrame], where: str
) -> dict[str, Any]:
    """The choice among detectors, in words of `choice.Choice` and with what it goes by.

    Parameters
    ----------
    entries
        By detector: of `_averages`, or cells of a category.
    pairs
        Differences by what detectors may be compared by.
    where
        The category, or `averages.AVERAGE`.
    """
    measured = {name: entry for name, entry in entries.items() if entry["auroc"] is not None}
    by = compares([entry["at_rate"] for entry in measured.values()])
    choice = choose(
        {name: _merits(entry, by) for name, entry in measured.items()},
        _pairs(pairs[by], where, -1 if by == ESCAPES else 1),
    )
    best = measured[choice.tied[0]] if choice.tied else {}
    return {
        **choice._asdict(),
        "difference": list(choice.difference) if choice.difference else None,
        "by": by,
        "auroc": best.get("auroc"),
        "auroc_interval": best.get("auroc_interval", [None, None]),
        "at_rate": best.get("at_rate"),
    }


def _merits(entry: Mapping[str, Any], by: str) -> Merits:
    merit = 1 - entry["at_rate"]["escape_rate"] if by == ESCAPES else entry["auroc"]
    breaks = "above" in entry["flags"]
    return Merits(merit, entry["auroc"], entry["model_bytes"], breaks, entry["auroc_interval"][0])


def _in_order(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Detectors by AUROC, as tables and figures list them."""
    return sorted(entries, key=lambda entry: -(entry["auroc"] or 0))


def _category(
    category: str,
    figures: Sequence[Mapping[str, Any]],
    pairs: Mapping[str, pd.DataFrame],
    overall: str | None,
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """The choice for one category; of tied detectors, the one that is chosen overall.

    With it whether that can be used, None where none is recommended, and what would help the one
    that is shown.
    """
    own = {entry["detector"]: entry for entry in figures if entry["category"] == category}
    choice = _choice(own, pairs, category)
    choice["as_overall"] = choice["verdict"] == "tied" and overall in choice["tied"]
    if choice["as_overall"] and "above" not in own[overall]["flags"]:
        choice["recommended"] = overall
    shown = choice["recommended"] or (choice["tied"] or [overall or next(iter(own))])[0]
    shown = shown if shown in own else next(iter(own))
    reason = own[shown]["reason"] if choice["verdict"] == "none" else None
    usable = usability(own[shown]["honest"], limits)
    return {
        "category": category,
        "shown": shown,
        "reason": reason,
        **choice,
        "usability": usable._asdict() if choice["recommended"] else None,
        "advice": advice(own[shown], usable, limits),
    }


def cell_of(decision: Mapping[str, Any], category: str, detector: str) -> Mapping[str, Any]:
    """The figures of one detector on one category."""
    return next(
        cell
        for cell in decision["cells"]
        if cell["category"] == category and cell["detector"] == detector
    )
