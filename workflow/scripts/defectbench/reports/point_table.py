"""Operating points of a decision as a tidy table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from defectbench.evaluation.promises import CALIBRATION


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
