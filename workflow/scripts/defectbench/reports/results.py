"""From single cells to the figures of a report: averages, intervals, published values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from defectbench.evaluation.intervals import correlation, difference_interval, mean_interval

AVERAGE = "average"
COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")
NOT_AVERAGED = (*COUNTS, "_threshold", "_images")

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
    all_categories
        All that the dataset has, in order.
    metrics
        Contents of the ``metrics.json`` files, in the order of the rows; ``pixels`` of one that
        localizes: contents of its ``pixel_metrics.json``.
    tidy
        From `tidy_results`.
    differences
        From `paired_differences`.
    incomparable
        Why published figures are left out, from `published.comparable`.
    notes
        What is worth knowing about the images, by category.
    remarks
        What must be known of the published figures, from `published.remarks`.
    """

    dataset: str
    all_categories: Sequence[str]
    metrics: Metrics
    tidy: pd.DataFrame
    differences: pd.DataFrame
    incomparable: Sequence[str] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @cached_property
    def detectors(self) -> list[Detector]:
        """Method and backbone of each detector, in the order of the rows."""
        return list(dict.fromkeys(map(_detector, self.metrics)))

    @cached_property
    def with_maps(self) -> list[Mapping[str, Any]]:
        """Entries whose maps were held against masks, or would have been, had there been any."""
        return [entry for entry in self.metrics if "pixels" in entry]

    @cached_property
    def localizing(self) -> list[Detector]:
        """Those of the detectors that say where a defect is."""
        return list(dict.fromkeys(map(_detector, self.with_maps)))

    @cached_property
    def images(self) -> dict[str, Mapping[str, int]]:
        """Number of images of each category that has results."""
        return {entry["category"]: entry["images"] for entry in self.metrics}

    @cached_property
    def categories(self) -> list[str]:
        """Those that the report covers, in order."""
        return [category for category in self.all_categories if category in self.images]

    @property
    def complete(self) -> bool:
        """Whether every category of the dataset has results."""
        return len(self.categories) == len(self.all_categories)

    @property
    def average_title(self) -> str:
        """Heading of the averages; it says over how many categories if not over all."""
        of_all = f" of {len(self.categories)} of {len(self.all_categories)}"
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
        return self._indexed.loc[(metric, *detector)].reindex([AVERAGE, *self.categories])

    def confusions(self, threshold: str, detector: Detector, column: str) -> pd.DataFrame:
        """Confusion matrices at a threshold, measured (value) or published: a row per category."""
        counts = {name: self.figures(f"{threshold}_{name}", detector)[column] for name in COUNTS}
        return pd.DataFrame(counts).loc[self.categories]

    @cached_property
    def _indexed(self) -> pd.DataFrame:
        return self.tidy.set_index(["metric", "method", "backbone", "category"]).sort_index()


def tidy_results(metrics: Metrics, published: pd.DataFrame) -> pd.DataFrame:
    """One row per category (and average), detector and metric.

    Parameters
    ----------
    metrics
        As of `Results`.
    published
        Figures that may be compared, from `published.comparable`.

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


def paired_differences(metrics: Metrics, replicates: Replicates) -> pd.DataFrame:
    """Difference in image AUROC of every two detectors, on the same images.

    Parameters
    ----------
    metrics
        Contents of the ``metrics.json`` files.
    replicates
        Bootstrap replicates of each of them, by metric; they tell how far two detectors err on
        the same images.

    Returns
    -------
    DataFrame
        Columns first, second (each ``"method backbone"``), category, value (first minus second),
        low, high (95 % interval). Categories where one of them has no AUROC are left out.
    """
    found: dict[str, dict[str, tuple[Mapping[str, Any], np.ndarray]]] = {}
    for entry, arrays in zip(metrics, replicates, strict=True):
        if arrays and "image_auroc" not in entry["reasons"]:
            cell = (entry, arrays["image_auroc"])
            found.setdefault(" ".join(_detector(entry)), {})[entry["category"]] = cell
    rows = []
    for first, second in combinations(found, 2):
        common = [category for category in found[first] if category in found[second]]
        values, limits = [], []
        for category in common:
            (one, of_one), (other, of_other) = found[first][category], found[second][category]
            both = [entry["metrics"]["image_auroc"] for entry in (one, other)]
            intervals = [entry["intervals"]["image_auroc"] for entry in (one, other)]
            values.append(both[0] - both[1])
            limits.append(difference_interval(both, intervals, correlation(of_one, of_other)))
        if common:
            rows.append((first, second, AVERAGE, np.mean(values), *mean_interval(values, limits)))
        rows += [
            (first, second, category, value, *interval)
            for category, value, interval in zip(common, values, limits, strict=True)
        ]
    return pd.DataFrame(rows, columns=["first", "second", "category", "value", "low", "high"])


def _detector(entry: Mapping[str, Any]) -> Detector:
    return entry["method"], entry["backbone"]


def _figures(entry: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of one category and detector: image metrics, thresholds, pixel metrics."""
    figures = entry["metrics"] | {
        "honest_threshold": entry["thresholds"]["honest"],
        "oracle_threshold": entry["thresholds"]["oracle"],
        "held_out_images": entry["held_out_images"],
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
    for metric, value in figures.items():
        low, high = source["intervals"].get(metric, UNKNOWN)
        deviation = source.get("deviations", {}).get(metric)
        key = (*_detector(entry), entry["category"], metric)
        yield *key, value, low, high, deviation, reasons.get(metric)


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
        # the seeds' draws differ from category to category
        deviation = (group["deviation"] ** 2).sum(min_count=1) ** 0.5 / len(group)
        rows.append((*key, AVERAGE, group["value"].mean(), *interval, deviation, len(group)))
    columns = [*keys, "category", "value", "low", "high", "deviation", "categories"]
    return pd.DataFrame(rows, columns=columns).assign(reason=None)
