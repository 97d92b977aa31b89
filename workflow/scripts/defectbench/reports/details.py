"""Details of each category: defect types, confusion matrices, the images ranked worst."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from defectbench.evaluation.cells import detector_name
from defectbench.reports import markdown
from defectbench.reports.markdown import percent, score, with_interval
from defectbench.reports.rendering import render
from defectbench.reports.results import Metrics, Results
from defectbench.reports.size_text import SIZES, often_found

MATRICES = {
    "honest threshold": ("honest", "value"),
    "oracle threshold": ("oracle", "value"),
    "published (oracle)": ("oracle", "published"),
}

DEFECTS: markdown.Columns = {
    "method": itemgetter("method"),
    "backbone": itemgetter("backbone"),
    "defect": itemgetter("defect"),
    "images": itemgetter("images"),
    "AUROC": lambda row: with_interval(row["image_auroc"], row["image_auroc_interval"]),
    "found": lambda row: with_interval(
        row["called_defective"], row["called_defective_interval"], ".1%"
    ),
}
SET_BY: markdown.Columns = {
    "method": itemgetter("method"),
    "backbone": itemgetter("backbone"),
    "set by": lambda row: markdown.listed(row["set_by"]["names"]),
    "images": lambda row: row["set_by"]["images"],
    "with them": lambda row: _threshold(
        row["thresholds"]["honest"],
        row["metrics"]["honest_recall"],
        row["metrics"]["honest_false_positive_rate"],
    ),
    "without them": lambda row: _threshold(*_three(row["set_by"])),
    "fitted without them": lambda row: (
        _threshold(*_three(again)) if (again := row["set_by"]["fitted_without"]) else "–"
    ),
}
WORST: markdown.Columns = {
    "method": itemgetter("method"),
    "backbone": itemgetter("backbone"),
    "image": itemgetter("path"),
    "anomaly score": lambda row: score(row["anomaly_score"]),
    "good parts below it": lambda row: percent(
        None if row["good_below"] is None else round(row["good_below"], 3)
    ),
    "wrong side of": lambda row: f"{row['rank_error']:.1%}",
}


def details(results: Results) -> str:
    """Per category: the defect types, confusion matrices, and the images ranked worst."""
    sections = []
    for category, images in results.images.items():
        entries = [entry for entry in results.metrics if entry["category"] == category]
        set_by = [entry for entry in entries if entry["set_by"]]
        worst = [entry | row for entry in entries for row in entry["worst"]]
        sections.append(
            {
                "category": category,
                "images": images,
                "defects": markdown.table_of(
                    DEFECTS, [entry | row for entry in entries for row in entry["defects"]]
                ),
                "confusions": _confusion_table(results, entries),
                "sizes": [
                    {
                        "title": detector_name(entry),
                        "often": often_found(entry["found_by_size"]),
                        "table": markdown.table_of(SIZES, entry["found_by_size"]["classes"]),
                    }
                    for entry in entries
                    if entry["found_by_size"]
                ],
                "set_by": markdown.table_of(SET_BY, set_by) if set_by else "",
                "worst": markdown.table_of(WORST, worst) if worst else "",
            }
        )
    return render("details.md", results=results, sections=sections)


def _three(found: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(found[name] for name in ("threshold", "found_rate", "false_alarm_rate"))


def _threshold(value: float | None, found: float | None, alarms: float | None) -> str:
    return f"{score(value)}: {percent(found)} / {percent(alarms)}"


def _confusion_table(results: Results, entries: Metrics) -> str:
    """Matrices of each detector on one category; no column for what nobody published."""
    columns = {name: [entry[name] for entry in entries] for name in ("method", "backbone")}
    for title, (threshold, column) in MATRICES.items():
        columns[title] = [
            markdown.counts(
                results.confusions(threshold, detector_name(each), column).loc[each["category"]]
            )
            for each in entries
        ]
        if set(columns[title]) == {markdown.MISSING}:
            del columns[title]
    return markdown.table(list(columns), zip(*columns.values(), strict=True))
