"""Which detector to take, which threshold, what slips through: the decision as data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.evaluation.averages import AVERAGE
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import Difference, choose, preference
from defectbench.evaluation.operating_points import (
    cost_point,
    mean_point,
    operating_point,
    operating_points,
    together,
)
from defectbench.evaluation.prevalence import on_the_line, shown_by_test_parts
from defectbench.evaluation.promises import CALIBRATION


def decide(
    categories: Sequence[str],
    cells: Sequence[CellResults],
    tidy: pd.DataFrame,
    differences: pd.DataFrame,
    rates: Sequence[float],
    costs: Mapping[str, float] | None,
    defective_share: float | None,
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

    Returns
    -------
    dict
        ``covers`` (the ``categories`` of the run, ``of`` how many), ``asked`` rate, ``rule`` of the
        thresholds, ``costs``, ``defective_share``,
        ``overall`` (a choice, what its thresholds do to all test images together, and on the
        ``line``, see `prevalence.on_the_line`),
        ``categories`` (a choice each, with its cell), ``detectors`` in the order of the average,
        ``cells`` with their operating points, of which ``honest`` is at the threshold in print and
        ``held_out`` at that of held-out training images.
    """
    figures = [_cell_figures(cell, rates, costs, defective_share) for cell in cells]
    averages = _averages(tidy, cells)
    accuracy = {name: entry["balanced_accuracy"] for name, entry in averages.items()}
    # a mean over fewer categories is of other images, so it cannot be compared with the others
    everywhere = max((entry["categories"] for entry in averages.values()), default=0)
    compared = {name: e for name, e in averages.items() if e["categories"] == everywhere}
    overall = _choice(compared, _pairs(differences, AVERAGE), preference(accuracy))
    chosen = overall["recommended"]
    covered = list(dict.fromkeys(entry["category"] for entry in figures))
    taken = chosen or (overall["tied"] or list(averages))[0]
    both = together([entry["honest"] for entry in figures if entry["detector"] == taken])
    return {
        "covers": {"categories": covered, "of": len(categories)},
        "asked": cells[0].metrics["promise"]["asked"],
        "rule": cells[0].metrics["promise"]["rule"],
        "costs": dict(costs) if costs else None,
        "defective_share": defective_share,
        "overall": overall | {"shown": taken, **both, "line": on_the_line(both, defective_share)},
        "categories": [
            _category(category, figures, _pairs(differences, category), chosen)
            for category in covered
        ],
        "detectors": sorted(averages.values(), key=lambda e: -(e["auroc"] or 0)),
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
        "set_by": cell.metrics["set_by"],
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
    for cell in cells:
        method, backbone = cell.metrics["method"], cell.metrics["backbone"]
        auroc = _row(rows, (method, backbone, "image_auroc"))
        accuracy = _row(rows, (method, backbone, "honest_balanced_accuracy"))
        found[cell.detector] = {
            "detector": cell.detector,
            "method": method,
            "backbone": backbone,
            "auroc": auroc["value"],
            "auroc_interval": [auroc["low"], auroc["high"]],
            "categories": int(auroc["categories"] or 0),
            "balanced_accuracy": accuracy["value"],
        }
    return found


def _row(rows: pd.DataFrame, key: tuple[str, ...]) -> dict[str, float | None]:
    """A row of the averages, None for what is not known."""
    row = rows.loc[key] if key in rows.index else {}
    names = ("value", "low", "high", "categories")
    return {name: None if pd.isna(row.get(name)) else float(row[name]) for name in names}


def _pairs(differences: pd.DataFrame, category: str) -> dict[tuple[str, str], Difference]:
    """Differences by the names of two detectors, in either order."""
    found = {}
    for row in differences[differences["category"] == category].itertuples():
        value, low, high = map(float, (row.value, row.low, row.high))
        found[row.first, row.second] = value, low, high
        found[row.second, row.first] = -value, -high, -low
    return found


def _choice(
    entries: Mapping[str, Mapping[str, Any]],
    pairs: Mapping[tuple[str, str], Difference],
    prefer: Mapping[str, Any],
) -> dict[str, Any]:
    measured = {name: entry for name, entry in entries.items() if entry["auroc"] is not None}
    choice = choose(
        {name: (entry["auroc"], entry["auroc_interval"][0]) for name, entry in measured.items()},
        pairs,
        prefer,
    )
    best = measured[choice.tied[0]] if choice.tied else {}
    return {
        **choice._asdict(),
        "difference": list(choice.difference) if choice.difference else None,
        "by": "errors",
        "auroc": best.get("auroc"),
        "auroc_interval": best.get("auroc_interval", [None, None]),
    }


def _category(
    category: str,
    figures: Sequence[Mapping[str, Any]],
    pairs: Mapping[tuple[str, str], Difference],
    overall: str | None,
) -> dict[str, Any]:
    """The choice for one category; of tied detectors, the one that is best overall."""
    own = {entry["detector"]: entry for entry in figures if entry["category"] == category}
    errors = preference({name: entry["balanced_accuracy"] for name, entry in own.items()})
    choice = _choice(own, pairs, {name: (name != overall, errors[name]) for name in own})
    if choice["verdict"] == "tied" and choice["recommended"] == overall:
        choice["by"] = "overall"
    shown = choice["recommended"] or (choice["tied"] or [overall or next(iter(own))])[0]
    shown = shown if shown in own else next(iter(own))
    reason = own[shown]["reason"] if choice["verdict"] == "none" else None
    return {"category": category, "shown": shown, "reason": reason, **choice}


def cell_of(decision: Mapping[str, Any], category: str, detector: str) -> Mapping[str, Any]:
    """The figures of one detector on one category."""
    return next(
        cell
        for cell in decision["cells"]
        if cell["category"] == category and cell["detector"] == detector
    )


def point_table(decision: Mapping[str, Any]) -> pd.DataFrame:
    """One row per category, detector and operating point: honest, held out, asked or by costs."""
    rows = []
    for cell in decision["cells"]:
        points = [("honest", cell["honest"], " ".join(cell["flags"]))]
        if cell["honest"]["folds"] == CALIBRATION:  # else it is the honest one
            points += [("held out", cell["held_out"], "")]
        points += [("asked", point, "") for point in cell["points"]]
        points += [("costs", cell["cost_point"], "")] if cell["cost_point"] else []
        where = {name: cell[name] for name in ("category", "method", "backbone")}
        rows += [
            {**where, "kind": kind, **_flat(point), "flags": flags} for kind, point, flags in points
        ]
    return pd.DataFrame(rows)


def _flat(point: Mapping[str, Any]) -> dict[str, Any]:
    """A point with a column for each end of an interval."""
    flat: dict[str, Any] = {}
    for name, value in point.items():
        if name.endswith("_interval"):
            rate = name.removesuffix("_interval")
            flat[f"{rate}_low"], flat[f"{rate}_high"] = value or (None, None)
        else:
            flat[name] = value
    return flat
