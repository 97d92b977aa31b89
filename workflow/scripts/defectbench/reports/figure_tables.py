"""The one shape of the report's tables: categories one way, detectors the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.reports import markdown
from defectbench.reports.cautions import missing_figures
from defectbench.reports.flags import named
from defectbench.reports.markdown import MISSING, number
from defectbench.reports.published import agreement, published_texts
from defectbench.reports.results import AVERAGE, Detector, Results

Mark = Callable[[Mapping[str, Any]], str]


def figure_section(
    results: Results,
    title: str,
    metric: str,
    notes: Sequence[str] = (),
    *,
    detectors: Sequence[Detector] | None = None,
    beside: Mapping[str, Sequence[str]] | None = None,
    mark: Mark | None = None,
    best: bool = True,
) -> str:
    """One metric: its figures with intervals, why some are missing, and the published ones.

    Parameters
    ----------
    title
        Of the section.
    metric
        As `Results.figures` names it.
    notes
        Paragraphs above the table.
    detectors
        Those shown; all by default.
    beside
        Texts of what is no detector, by name, to stand before the detectors.
    mark
        Sign at a figure that calls for it, from the ``metrics.json`` of its cell.
    best
        Whether the largest figure of each category is in bold.
    """
    found = {
        detector: results.figures(metric, detector) for detector in detectors or results.detectors
    }
    bold = _largest(found) if best else {}
    columns = dict(beside or {})
    published = {}
    for detector, figures in found.items():
        marks = {entry["category"]: mark(entry) for entry in results.entries(detector) if mark}
        columns[named(results, detector)] = [
            _text(figures.loc[name], len(results.images), (detector, name) in bold)
            + f" {marks.get(name, '')}".rstrip()
            for name in figures.index
        ]
        if figures["published"].notna().any():
            published[" ".join(detector)] = published_texts(figures)
    return markdown.paragraphs(
        f"## {title}",
        *notes,
        matrix(results, columns),
        missing_figures(results, metric),
        "Published, and in brackets measured minus published:" if published else "",
        matrix(results, published) if published else "",
        agreement(list(found.values())),
    )


def matrix(results: Results, columns: Mapping[str, Sequence[str]], average: bool = True) -> str:
    """Texts by category and detector.

    Parameters
    ----------
    columns
        By name, a text for the average, if there is one, and for each category.
    average
        Whether there is one.
    """
    names = [*([results.average_title] if average else []), *results.categories]
    return markdown.grid(names, columns)


def _text(figure: pd.Series, categories: int, bold: bool) -> str:
    """A figure, its deviation over seeds, its interval, and what it averages if not all."""
    value = MISSING if _is_missing(figure) else number(figure["value"])
    remarks = []
    if figure.name == AVERAGE and value != MISSING and figure["categories"] != categories:
        remarks.append(f"of {figure['categories']:.0f}")
    if pd.notna(figure["low"]):
        remarks.append(f"{number(figure['low'])}–{number(figure['high'])}")
    text = f"**{value}**" if bold else value
    if value != MISSING and pd.notna(figure["deviation"]):
        text += f" ± {number(figure['deviation'])}"
    return f"{text} ({'; '.join(remarks)})" if remarks else text


def _is_missing(figure: pd.Series) -> bool:
    return pd.isna(figure["value"]) or pd.notna(figure["reason"])


def _largest(found: Mapping[Detector, pd.DataFrame]) -> set[tuple[Detector, str]]:
    """Which figures are, as printed, the largest of several of the same category or average."""
    largest = set()
    for name in next(iter(found.values())).index:
        rows = {detector: figures.loc[name] for detector, figures in found.items()}
        values = {d: round(row["value"], 3) for d, row in rows.items() if not _is_missing(row)}
        averaged_alike = len({rows[detector]["categories"] for detector in values}) == 1
        if len(values) > 1 and averaged_alike:
            top = max(values.values())
            largest |= {(detector, name) for detector in values if values[detector] == top}
    return largest
