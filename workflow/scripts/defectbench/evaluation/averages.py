"""Figures of many cells brought together: averages over categories, differences of detectors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.image_metrics import Confusion
from defectbench.evaluation.intervals import correlation, difference_interval, mean_interval
from defectbench.evaluation.rates import Interval

AVERAGE = "average"
NOT_AVERAGED = (*Confusion._fields, "_threshold", "_images", "_good_below")

UNKNOWN = (float("nan"), float("nan"))


def tidy_results(metrics: Sequence[Mapping[str, Any]], published: pd.DataFrame) -> pd.DataFrame:
    """One row per category (and average), detector and metric.

    Parameters
    ----------
    metrics
        Of each cell; with ``good_below``, see `reports.results.with_shares`, also rows of that.
    published
        Figures that may be compared: columns method, backbone, category, metric, value.

    Returns
    -------
    DataFrame
        Columns method, backbone, metric, value, categories (how many the value averages over),
        category, low and high (95 % interval), reason (why the value is neither printed nor
        averaged), deviation (standard deviation over seeds), published. Missing values are NaN.
    """
    keys = ["method", "backbone", "category", "metric"]
    numbers = ["value", "low", "high", "deviation"]
    cells = pd.DataFrame(
        [row for entry in metrics for row in _figures(entry)], columns=[*keys, *numbers, "reason"]
    ).astype(dict.fromkeys(numbers, "float64"))
    cells["categories"] = 1
    averages = _averages(cells)
    results = pd.concat([averages, cells] if len(averages) else [cells])
    order = ["method", "backbone", "metric", "value", "categories", "category", "low", "high"]
    figures = published.rename(columns={"value": "published"})[[*keys, "published"]]
    return results[[*order, "reason", "deviation"]].merge(figures, on=keys, how="left")


def _figures(entry: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of one category and detector: image metrics, thresholds, pixel metrics."""
    figures = entry["metrics"] | {
        "honest_threshold": entry["thresholds"]["honest"],
        "oracle_threshold": entry["thresholds"]["oracle"],
        "held_out_images": entry["held_out_images"],
        **{f"{name}_good_below": share for name, share in entry.get("good_below", {}).items()},
    }
    yield from _rows(entry, entry, figures, entry["reasons"])
    if pixels := entry.get("pixels"):
        figures = pixels["metrics"] | {"pixel_threshold": pixels["pixel_threshold"]}
        reasons = {name: pixels["reason"] for name, value in figures.items() if value is None}
        yield from _rows(entry, pixels, figures, reasons)


def _rows(
    entry: Mapping[str, Any],
    source: Mapping[str, Any],
    figures: Mapping[str, Any],
    reasons: Mapping[str, str],
) -> Iterator[tuple[Any, ...]]:
    """Rows of figures whose intervals and deviations stand in a source."""
    key = entry["method"], entry["backbone"], entry["category"]
    for metric, value in figures.items():
        low, high = source["intervals"].get(metric, UNKNOWN)
        deviation = source.get("deviations", {}).get(metric)
        yield *key, metric, value, low, high, deviation, reasons.get(metric)


def _averages(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean over the categories where a metric is defined; counts and thresholds have none."""
    rates = cells[~cells["metric"].str.endswith(NOT_AVERAGED) & cells["reason"].isna()]
    rows = []
    keys = ["method", "backbone", "metric"]
    for key, group in rates.dropna(subset="value").groupby(keys, sort=False):
        interval = UNKNOWN
        if group["low"].notna().all():
            limits = list(zip(group["low"], group["high"], strict=True))
            interval = mean_interval(group["value"].tolist(), limits)
        # the seeds' draws differ from category to category: their variances add up
        deviation = (group["deviation"] ** 2).sum(min_count=1) ** 0.5 / len(group)
        rows.append((*key, AVERAGE, group["value"].mean(), *interval, deviation, len(group)))
    columns = [*keys, "category", "value", "low", "high", "deviation", "categories"]
    return pd.DataFrame(rows, columns=columns).assign(reason=None)


class Figure(NamedTuple):
    """One figure of a cell, by which detectors are compared.

    Attributes
    ----------
    value
        None where it is not defined.
    interval
        95 %.
    replicates
        Bootstrap replicates, on the same resamples for all detectors.
    """

    value: float | None
    interval: Interval | None
    replicates: np.ndarray


def auroc_of(cell: CellResults) -> Figure:
    """The image AUROC."""
    metrics = cell.metrics
    if not cell.replicates or "image_auroc" in metrics["reasons"]:
        return Figure(None, None, np.empty(0))
    value, interval = (metrics[key].get("image_auroc") for key in ("metrics", "intervals"))
    return Figure(value, interval, cell.replicates["image_auroc"])


def escapes_of(cell: CellResults) -> Figure:
    """The share of the defects that slips through at the rate asked for; see `at_rate`."""
    found = cell.metrics["at_rate"]
    if not cell.replicates or found["escape_rate"] is None:
        return Figure(None, None, np.empty(0))
    replicates = cell.replicates["escape_rate"]
    return Figure(found["escape_rate"], found["escape_rate_interval"], replicates)


def paired_differences(
    cells: Sequence[CellResults], figure: Callable[[CellResults], Figure] = auroc_of
) -> pd.DataFrame:
    """Difference in a figure of every two detectors, on the same images.

    The bootstrap replicates of two detectors are of the same resampled images, so that their
    correlation tells how far the two err alike.

    Returns
    -------
    DataFrame
        Columns first, second (names of detectors), category, value (first minus second), low,
        high (95 % interval). Categories where one of them lacks the figure are left out.
    """
    found: dict[str, dict[str, Figure]] = {}
    for cell in cells:
        own = figure(cell)
        if own.value is not None:
            found.setdefault(cell.detector, {})[cell.category] = own
    rows = []
    for first, second in combinations(found, 2):
        common = [category for category in found[first] if category in found[second]]
        values, limits = [], []
        for category in common:
            one, other = found[first][category], found[second][category]
            alike = correlation(one.replicates, other.replicates)
            both, intervals = (one.value, other.value), (one.interval, other.interval)
            values.append(both[0] - both[1])
            limits.append(difference_interval(both, intervals, alike))
        if common:
            rows.append((first, second, AVERAGE, np.mean(values), *mean_interval(values, limits)))
        rows += [
            (first, second, category, value, *interval)
            for category, value, interval in zip(common, values, limits, strict=True)
        ]
    return pd.DataFrame(rows, columns=["first", "second", "category", "value", "low", "high"])
