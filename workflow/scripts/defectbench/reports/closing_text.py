"""What a run says at its end: the verdict on each category, and where the reports are."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.usability import AS_IT_IS
from defectbench.reports.decision_text import headline, help_of, title, use
from defectbench.reports.markdown import score
from defectbench.reports.usability_text import does, why
from defectbench.storage import read_json


def closing_lines(reports: Iterable[str | Path]) -> list[str]:
    """The verdict on each dataset and category; then where tables and pages are.

    Parameters
    ----------
    reports
        Files that a run has made or found up to date; of those, ``{dataset}.json``,
        ``{dataset}_table.md``, ``{dataset}_best.md`` and ``{dataset}.html`` count.
    """
    files = sorted({Path(file) for file in reports})
    answers, places = [], []
    for file in files:
        if file.suffix == ".json" and file.with_name(f"{file.stem}_table.md") in files:
            decision = read_json(file)
            answers.append(f"{file.stem}: {headline(decision)}")
            for entry in decision["categories"]:
                answers += category_lines(decision, entry)
        elif file.name.endswith("_table.md"):
            places.append(f"table: {file}")
        elif file.name.endswith("_best.md"):
            places.append(f"the best set-up, and how to run it: {file}")
        elif file.suffix == ".html":
            places.append(f"page: {file.resolve()}")
    return [*answers, *places]


def category_lines(decision: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """A category in lines: the verdict, detector and threshold, what it does, what would help."""
    cell = cell_of(decision, entry["category"], entry["shown"])
    helps, threshold = help_of(decision, entry), cell["honest"]["threshold"]
    told = ": ".join(filter(None, [use(decision, entry), why(entry, cell)]))
    return [
        f"{entry['category']}: {told}",
        f"  detector: {title(entry['shown'])}, threshold {score(threshold)}",
        *(f"  on the test images {clause}" for clause in does(cell["honest"], decision["limits"])),
        f"  {f'to do next: {helps[0]}' if helps else _no_advice(entry)}",
    ]


def _no_advice(entry: Mapping[str, Any]) -> str:
    found = entry["usability"]
    if found and found["verdict"] == AS_IT_IS:
        return "Both intervals lie within the limits."
    return "These images support no advice."
