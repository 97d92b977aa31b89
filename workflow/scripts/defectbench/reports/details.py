"""The report's second file: per category, defect types, confusions, worst-ranked images."""

from collections.abc import Mapping
from typing import Any

from defectbench.reports import markdown
from defectbench.reports.markdown import scope_line
from defectbench.reports.results import Metrics, Results

MATRICES = {
    "honest threshold": ("honest", "value"),
    "oracle threshold": ("oracle", "value"),
    "published (oracle)": ("oracle", "published"),
}


def details(results: Results) -> str:
    """Per category: the defect types, confusion matrices, and the images ranked worst."""
    table, page = f"{results.dataset}_table.md", f"{results.dataset}.html"
    sections = [
        f"# {results.dataset}: details",
        scope_line(results.categories, results.all_categories),
        "AUROC: the defect type against the good test images. Found: share called defective "
        "at the honest threshold; for `good`, that is the false-positive rate. In brackets the "
        "95 % interval. Confusion matrices: true positives / false positives / false negatives / "
        "true negatives.",
        f"All other figures: [{table}]({table}). Pictures: [{page}]({page}).",
    ]
    for category in results.images:
        entries = [entry for entry in results.metrics if entry["category"] == category]
        sections += [
            f"## {category}",
            _defect_table(entries),
            "### Confusion matrices",
            _confusion_table(results, category),
            "### Worst-ranked images",
            "Wrong side of: share of the other class's images that the image is ranked "
            "wrongly against.",
            _worst_table(entries, results.images[category]),
        ]
    return markdown.paragraphs(*sections) + "\n"


def _defect_table(entries: Metrics) -> str:
    rows = [
        [
            entry["method"],
            entry["backbone"],
            row["defect"],
            row["images"],
            _with_interval(row, "image_auroc", ".3f"),
            _with_interval(row, "called_defective", ".1%"),
        ]
        for entry in entries
        for row in entry["defects"]
    ]
    return markdown.table(["method", "backbone", "defect", "images", "AUROC", "found"], rows)


def _confusion_table(results: Results, category: str) -> str:
    rows = []
    for detector in results.detectors:
        found = {
            title: markdown.counts(results.confusions(threshold, detector, column).loc[category])
            for title, (threshold, column) in MATRICES.items()
        }
        rows.append({"method": detector[0], "backbone": detector[1], **found})
    shown = [title for title in rows[0] if {row[title] for row in rows} != {markdown.MISSING}]
    return markdown.table(shown, [[row[title] for title in shown] for row in rows])


def _worst_table(entries: Metrics, images: Mapping[str, int]) -> str:
    if not images["test_good"] or not images["test_defective"]:
        lacking = "good" if images["test_defective"] else "defective"
        return f"{markdown.MISSING}: no {lacking} test image to rank against."
    rows = [
        [
            entry["method"],
            entry["backbone"],
            row["path"],
            f"{row['anomaly_score']:.6g}",
            f"{row['rank_error']:.1%}",
        ]
        for entry in entries
        for row in entry["worst"]
    ]
    if not rows:
        defective, good = images["test_defective"], images["test_good"]
        return f"None: each of {defective} defective images ranks above each of {good} good ones."
    return markdown.table(["method", "backbone", "image", "anomaly score", "wrong side of"], rows)


def _with_interval(row: Mapping[str, Any], figure: str, form: str) -> str:
    value, interval = row[figure], row[f"{figure}_interval"]
    if value is None:
        return markdown.MISSING
    low, high = interval
    return f"{value:{form}} ({low:{form}}–{high:{form}})"
