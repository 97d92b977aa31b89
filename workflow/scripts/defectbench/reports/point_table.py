"""Operating points of a decision as a tidy table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.promises import CALIBRATION


def point_table(decision: Mapping[str, Any], cells: Sequence[CellResults]) -> pd.DataFrame:
    """One row per category, detector and operating point: honest, held out, asked or by costs.

    ``good_below`` is the share of the good parts that set the threshold and score lower than it.

    Parameters
    ----------
    decision
        From `decision.decide`.
    cells
        Those that it was made of.
    """
    rows = []
    below = {(cell.category, cell.detector): cell.share_of_good_below for cell in cells}
    for cell in decision["cells"]:
        points = [("honest", cell["honest"], " ".join(cell["flags"]))]
        if cell["honest"]["folds"] == CALIBRATION:  # else it is the honest one
            points += [("held out", cell["held_out"], "")]
        points += [("asked", point, "") for point in cell["points"]]
        points += [("costs", cell["cost_point"], "")] if cell["cost_point"] else []
        where = {name: cell[name] for name in ("category", "method", "backbone")}
        of_good = below[cell["category"], cell["detector"]]
        for kind, point, flags in points:
            threshold = point["threshold"]
            share = None if threshold is None else of_good(threshold)
            rows.append(
                {**where, "kind": kind, **_flat(point), "good_below": share, "flags": flags}
            )
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
