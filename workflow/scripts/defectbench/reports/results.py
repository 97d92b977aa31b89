"""From single cells to the figures of a report: averages, intervals, published values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
Detector = tuple[str, str]


@dataclass(frozen=True)
class Results:
    """What the sections of a report are written from.

    Attributes
    ----------
    dataset
        Its name.
    categories
        All categories the dataset has, in order; those without results are marked.
    metrics
        Contents of the ``metrics.json`` files, in the order of the rows.
    tidy
        From `tidy_results`.
    differences
        From `paired_differences`.
    """

    dataset: str
    categories: Sequence[str]
    metrics: Metrics
    tidy: pd.DataFrame
    differences: pd.DataFrame

    @cached_property
    def detectors(self) -> list[Detector]:
        """Method and backbone of each detector, in the order of the rows."""
        return list(dict.fromkeys(map(_detector, self.metrics)))

    @cached_property
    def images(self) -> dict[str, Mapping[str, int]]:
        """Number of images of each category that has results."""
        return {entry["category"]: entry["images"] for entry in self.metrics}

    @property
    def complete(self) -> bool:
        """Whether every category of the dataset has results."""
        return len(self.images) == len(self.categories)

    @property
    def average_title(self) -> str:
        """Heading of the averages; it says over how many categories if not over all."""
        of_all = f" of {len(self.images)} of {len(self.categories)}"
        return AVERAGE + ("" if self.complete else of_all)

    @property
    def false_positive_rate(self) -> float:
        """The rate that the honest thresholds were asked to keep."""
        return self.metrics[0]["false_positive_rate"]

    def entries(self, detector: Detector) -> list[Mapping[str, Any]]:
        """Contents of a detector's ``metrics.json`` files."""
        return [entry for entry in self.metrics if _detector(entry) == detector]

    def figures(self, metric: str, detector: Detector) -> pd.DataFrame:
        """Figures of one metric and detector: a row for the average, then one per category."""
        found = self._indexed.loc[(metric, *detector)].reindex([AVERAGE, *self.categories])
        if not self.complete:
            found.loc[AVERAGE, "published"] = float("nan")
        return found

    @cached_property
    def _indexed(self) -> pd.DataFrame:
        return self.tidy.set_index(["metric", "method", "backbone", "category"]).sort_index()


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


def _detector(entry: Mapping[str, Any]) -> Detector:
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
