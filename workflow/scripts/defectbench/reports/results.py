"""From single cells to the figures of a report: averages, intervals, published values."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from defectbench.evaluation.resampling import percentile_interval

AVERAGE = "average"
COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")

UNKNOWN = (float("nan"), float("nan"))

Metrics = Sequence[Mapping[str, Any]]
Replicates = Sequence[Mapping[str, np.ndarray]]


def tidy_results(metrics: Metrics, replicates: Replicates, published: pd.DataFrame) -> pd.DataFrame:
    """One row per category (and average), detector and metric.

    Parameters
    ----------
    metrics
        Contents of the ``metrics.json`` files.
    replicates
        Bootstrap replicates of each of them, by metric.
    published
        Published figures: columns method, backbone, category, metric, value.

    Returns
    -------
    DataFrame
        Columns category, method, backbone, metric, value, low and high (95 % interval),
        categories (how many the value averages over), published. Missing values are NaN.
    """
    rows = [
        (
            *_detector(entry),
            entry["category"],
            metric,
            value,
            *entry["intervals"].get(metric, UNKNOWN),
        )
        for entry in metrics
        for metric, value in entry["metrics"].items()
    ]
    keys = ["method", "backbone", "category", "metric"]
    cells = pd.DataFrame(rows, columns=[*keys, "value", "low", "high"]).astype({"value": "float64"})
    cells["categories"] = 1
    results = pd.concat([_averages(cells, metrics, replicates), cells])
    figures = published.rename(columns={"value": "published"})[[*keys, "published"]]
    return results.merge(figures, on=keys, how="left")


def paired_differences(metrics: Metrics, replicates: Replicates) -> pd.DataFrame:
    """Difference in image AUROC of every two detectors, on the same resampled images.

    Returns
    -------
    DataFrame
        Columns first, second (each ``"method backbone"``), category, value (first minus second),
        low, high (95 % interval). Categories where one of them has no AUROC are left out.
    """
    found: dict[str, dict[str, tuple[float, np.ndarray]]] = {}
    for entry, arrays in zip(metrics, replicates, strict=True):
        if arrays:
            value = entry["metrics"]["image_auroc"]
            cell = (value, arrays["image_auroc"])
            found.setdefault(" ".join(_detector(entry)), {})[entry["category"]] = cell
    rows = []
    for first, second in combinations(found, 2):
        common = [category for category in found[first] if category in found[second]]
        pairs = {c: (found[first][c], found[second][c]) for c in common}
        values = {c: a[0] - b[0] for c, (a, b) in pairs.items()}
        spreads = {c: a[1] - b[1] for c, (a, b) in pairs.items()}
        if common:
            values[AVERAGE] = float(np.mean(list(values.values())))
            spreads[AVERAGE] = np.mean(list(spreads.values()), axis=0)
        rows += [(first, second, c, values[c], *percentile_interval(spreads[c])) for c in values]
    return pd.DataFrame(rows, columns=["first", "second", "category", "value", "low", "high"])


def _detector(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["method"], entry["backbone"]


def _averages(cells: pd.DataFrame, metrics: Metrics, replicates: Replicates) -> pd.DataFrame:
    """Mean over the categories where a metric is defined; counts are not averaged."""
    rates = cells[~cells["metric"].str.endswith(COUNTS)].dropna(subset="value")
    averages = (
        rates.groupby(["method", "backbone", "metric"], sort=False)["value"]
        .agg(value="mean", categories="size")
        .reset_index()
        .assign(category=AVERAGE)
    )
    spreads: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for entry, arrays in zip(metrics, replicates, strict=True):
        for metric, array in arrays.items():
            spreads.setdefault((*_detector(entry), metric), []).append(array)
    intervals = [
        (*key, *percentile_interval(np.mean(arrays, axis=0))) for key, arrays in spreads.items()
    ]
    columns = ["method", "backbone", "metric", "low", "high"]
    return averages.merge(pd.DataFrame(intervals, columns=columns), how="left")
