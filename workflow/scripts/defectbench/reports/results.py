"""What the sections of a report are written from: figures, differences, notes, by detector."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from defectbench.evaluation.averages import AVERAGE
from defectbench.evaluation.cells import CellResults, detector_name
from defectbench.evaluation.image_metrics import Confusion
from defectbench.reports.markdown import scope_line
from defectbench.storage import read_json

Metrics = Sequence[Mapping[str, Any]]


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
        From `averages.tidy_results`.
    differences
        From `averages.paired_differences`.
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
    def detectors(self) -> list[str]:
        """Name of each detector, in the order of the rows."""
        return list(dict.fromkeys(map(detector_name, self.metrics)))

    @cached_property
    def with_maps(self) -> list[Mapping[str, Any]]:
        """Metrics of the detectors that localize; without masks, their pixel figures are None."""
        return [entry for entry in self.metrics if "pixels" in entry]

    @cached_property
    def localizing(self) -> list[str]:
        """Names of the detectors that localize."""
        return list(dict.fromkeys(map(detector_name, self.with_maps)))

    @cached_property
    def images(self) -> dict[str, Mapping[str, int]]:
        """Number of images of each category that has results."""
        return {entry["category"]: entry["images"] for entry in self.metrics}

    @cached_property
    def categories(self) -> list[str]:
        """Those that the report covers, in order."""
        return [category for category in self.all_categories if category in self.images]

    @property
    def scope(self) -> str:
        """Which categories of how many the report covers, in a sentence."""
        return scope_line(self.categories, self.all_categories)

    @property
    def average_title(self) -> str:
        """Heading of the averages; it says over how many categories if not over all."""
        covered, of = len(self.categories), len(self.all_categories)
        return AVERAGE if covered == of else f"{AVERAGE} of {covered} of {of}"

    @property
    def false_positive_rate(self) -> float:
        """The rate that the honest thresholds were asked to keep."""
        return self.metrics[0]["false_positive_rate"]

    def entries(self, detector: str) -> list[Mapping[str, Any]]:
        """Contents of a detector's ``metrics.json`` files."""
        return [entry for entry in self.metrics if detector_name(entry) == detector]

    def figures(self, metric: str, detector: str) -> pd.DataFrame:
        """Figures of one metric and detector: a row for the average, then one per category."""
        return self._indexed.loc[(metric, detector)].reindex([AVERAGE, *self.categories])

    def confusions(self, threshold: str, detector: str, column: str) -> pd.DataFrame:
        """Confusion matrices at a threshold, measured (value) or published: a row per category."""
        counts = {
            name: self.figures(f"{threshold}_{name}", detector)[column]
            for name in Confusion._fields
        }
        return pd.DataFrame(counts).loc[self.categories]

    @cached_property
    def _indexed(self) -> pd.DataFrame:
        names = self.tidy["method"] + " " + self.tidy["backbone"]
        return self.tidy.set_index(["metric", names, "category"]).sort_index()


def with_shares(cell: CellResults) -> dict[str, Any]:
    """A cell's metrics; beside each score the share of the good parts that score lower.

    These are the good parts that set the threshold. ``good_below`` has the shares by the name of a
    threshold, and each of the ``worst`` images its own.
    """
    below = cell.share_of_good_below
    thresholds = cell.metrics["thresholds"].items()
    return {
        **cell.metrics,
        "good_below": {name: None if t is None else below(t) for name, t in thresholds},
        "worst": [
            row | {"good_below": below(row["anomaly_score"])} for row in cell.metrics["worst"]
        ],
    }


def notes_by_category(notes: Iterable[str], checks: Iterable[str]) -> dict[str, list[str]]:
    """What is worth knowing about each category, each sentence once, with who says it.

    Parameters
    ----------
    notes
        Each category's ``notes.json``, a list of sentences.
    checks
        ``{category}/{method}/{backbone}/held_out_check.json`` of each cell; its ``warnings`` are
        such a list too, of that detector.
    """
    found = {Path(file).parent.name: read_json(file) for file in notes}
    who: dict[tuple[str, str], list[str]] = {}
    for file in checks:
        category, method, backbone = Path(file).parts[-4:-1]
        for text in read_json(file)["warnings"]:
            who.setdefault((category, text), []).append(f"{method} {backbone}")
    for (category, text), detectors in who.items():
        found[category].append(f"{', '.join(detectors)}: {text}")
    return found
