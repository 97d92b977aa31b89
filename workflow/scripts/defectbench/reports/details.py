"""The report's second file: per category, the defect types and the images ranked worst."""

from defectbench.reports import markdown
from defectbench.reports.results import Metrics, Results


def details(results: Results) -> str:
    """Per category: the defect types, and the images ranked worst."""
    sections = [
        f"# {results.dataset}: details",
        "AUROC: the defect type against the good test images. Found: share called defective "
        "at the honest threshold; for `good`, that is the false-positive rate.",
    ]
    for category in filter(results.images.__contains__, results.categories):
        entries = [entry for entry in results.metrics if entry["category"] == category]
        sections += [
            f"## {category}",
            _defect_table(entries),
            "### Worst-ranked images",
            "Wrong side of: share of the other class's images that the image is ranked "
            "wrongly against.",
            _worst_table(entries),
        ]
    return markdown.paragraphs(*sections) + "\n"


def _defect_table(entries: Metrics) -> str:
    rows = [
        [
            entry["method"],
            entry["backbone"],
            row["defect"],
            row["images"],
            markdown.number(row["image_auroc"]),
            f"{row['called_defective']:.1%}",
        ]
        for entry in entries
        for row in entry["defects"]
    ]
    return markdown.table(["method", "backbone", "defect", "images", "AUROC", "found"], rows)


def _worst_table(entries: Metrics) -> str:
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
        return "None: every defective image ranks above every good one."
    return markdown.table(["method", "backbone", "image", "anomaly score", "wrong side of"], rows)
