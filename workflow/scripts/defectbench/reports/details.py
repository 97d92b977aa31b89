"""Details of each category: defect types, confusion matrices, the images ranked worst."""

from collections.abc import Mapping
from operator import itemgetter

from defectbench.evaluation.cells import detector_name
from defectbench.reports import markdown
from defectbench.reports.markdown import scope_line, score, with_interval
from defectbench.reports.results import Metrics, Results

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
WORST: markdown.Columns = {
    "method": itemgetter("method"),
    "backbone": itemgetter("backbone"),
    "image": itemgetter("path"),
    "anomaly score": lambda row: score(row["anomaly_score"]),
    "wrong side of": lambda row: f"{row['rank_error']:.1%}",
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
            _confusion_table(results, entries),
            "### Worst-ranked images",
            "Wrong side of: share of the other class's images that the image is ranked "
            "wrongly against.",
            _worst_table(entries, results.images[category]),
        ]
    return markdown.paragraphs(*sections) + "\n"


def _defect_table(entries: Metrics) -> str:
    return markdown.table_of(
        DEFECTS, [entry | row for entry in entries for row in entry["defects"]]
    )


def _confusion_table(results: Results, entries: Metrics) -> str:
    rows = []
    for entry in entries:
        row = {"method": entry["method"], "backbone": entry["backbone"]}
        for title, (threshold, column) in MATRICES.items():
            matrices = results.confusions(threshold, detector_name(entry), column)
            row[title] = markdown.counts(matrices.loc[entry["category"]])
        rows.append(row)
    shown = [title for title in rows[0] if {row[title] for row in rows} != {markdown.MISSING}]
    return markdown.table(shown, [[row[title] for title in shown] for row in rows])


def _worst_table(entries: Metrics, images: Mapping[str, int]) -> str:
    if not images["test_good"] or not images["test_defective"]:
        lacking = "good" if images["test_defective"] else "defective"
        return f"{markdown.MISSING}: no {lacking} test image to rank against."
    rows = [entry | row for entry in entries for row in entry["worst"]]
    if not rows:
        defective, good = images["test_defective"], images["test_good"]
        return f"None: each of {defective} defective images ranks above each of {good} good ones."
    return markdown.table_of(WORST, rows)
