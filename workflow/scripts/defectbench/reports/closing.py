"""The last lines of a run: what the answer is, and where it stands."""

from collections.abc import Iterable
from pathlib import Path

from defectbench.reports.decision_words import consequence, headline
from defectbench.storage import read_json


def closing_lines(reports: Iterable[str | Path]) -> list[str]:
    """Verdict, escapes and false alarms of each decision; then where tables and pages are.

    Parameters
    ----------
    reports
        Files that a run has made or found up to date; of those, ``{dataset}_decision.json``,
        ``{dataset}_table.md`` and ``{dataset}.html`` count.
    """
    files = sorted({Path(file) for file in reports})
    answers, places = [], []
    for file in files:
        if file.name.endswith("_decision.json"):
            decision = read_json(file)
            words = f"{headline(decision)} {consequence(decision)}".strip()
            answers.append(f"{file.name.removesuffix('_decision.json')}: {words}")
        elif file.name.endswith("_table.md"):
            places.append(f"table: {file}")
        elif file.suffix == ".html":
            places.append(f"page: {file.resolve()}")
    return [*answers, *places]
