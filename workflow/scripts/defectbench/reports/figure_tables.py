"""The one shape of the report's tables: categories one way, detectors the other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from defectbench.reports import markdown
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
    """Which figures are, as printed, the largest of several that differ, category by category."""
    largest = set()
    for name in next(iter(found.values())).index:
        rows = {detector: figures.loc[name] for detector, figures in found.items()}
        values = {d: round(row["value"], 3) for d, row in rows.items() if not _is_missing(row)}
        averaged_alike = len({rows[detector]["categories"] for detector in values}) == 1
        if averaged_alike and len(set(values.values())) > 1:
            top = max(values.values())
            largest |= {(detector, name) for detector in values if values[detector] == top}
    return largest


ABOVE, BELOW, NO_BETTER = "▲", "▼", "✗"
LEGEND = {
    ABOVE: "more good test images are called defective than were asked for",
    BELOW: "fewer good test images are called defective than were asked for: a lower threshold "
    "would find more defects",
    NO_BETTER: "F1 at the honest threshold is no better than calling everything defective",
}


def rate_mark(entry: Mapping[str, Any]) -> str:
    """Mark of a false-positive rate that is incompatible with the one asked for."""
    return {"above": ABOVE, "below": BELOW}.get(entry["flags"]["false_positive_rate"], "")


def f1_mark(entry: Mapping[str, Any]) -> str:
    """Mark of an F1 that calling everything defective reaches too."""
    beaten = entry["flags"]["beats_trivial_f1"] is False and "honest_f1" not in entry["reasons"]
    return NO_BETTER if beaten else ""


def named(results: Results, detector: Detector) -> str:
    """Method and backbone, with the marks of all categories."""
    entries = results.entries(detector)
    found = {mark(entry) for entry in entries for mark in (rate_mark, f1_mark)}
    marks = "".join(mark for mark in LEGEND if mark in found)
    return " ".join([*detector, marks]).strip()


def legend(results: Results) -> str:
    """What the marks mean, and in which categories each holds; empty without any."""
    lines = []
    for mark, meaning in LEGEND.items():
        where = [
            f"{entry['method']} {entry['backbone']} on {entry['category']}"
            for entry in results.metrics
            if mark in (rate_mark(entry), f1_mark(entry))
        ]
        if where:
            lines.append(f"- {mark} {meaning} ({'; '.join(where)}).")
    return "\n".join(lines)


def cautions(results: Results) -> str:
    """Marks and their meaning, and what the number of images does not allow to conclude."""
    entries = results.metrics
    found = ((text, entry["category"]) for entry in entries for text in entry["cautions"])
    lines = [f"- {', '.join(where)}: {text}." for text, where in _by_text(found).items()]
    body = "\n".join(filter(None, [legend(results), *lines]))
    return markdown.paragraphs("## Cautions", body) if body else ""


def notes(results: Results) -> str:
    """What was noticed in the images of each category."""
    lines = [
        f"- {category}: {note}"
        for category in results.categories
        for note in dict.fromkeys(results.notes.get(category, ()))
    ]
    if not lines:
        return ""
    return markdown.paragraphs("## Worth knowing about the images", "\n".join(lines))


def missing_figures(results: Results, *metrics: str) -> str:
    """Why figures of these metrics are a dash: one line, or none."""
    found = results.tidy[results.tidy["metric"].isin(metrics)].dropna(subset="reason")
    pairs = zip(found["reason"], found["category"], strict=True)
    reasons = [f"{', '.join(where)}: {text}" for text, where in _by_text(pairs).items()]
    return f"{MISSING}: {'; '.join(reasons)}." if reasons else ""


def _by_text(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Categories that share a text, each once."""
    found: dict[str, dict[str, None]] = {}
    for text, category in pairs:
        found.setdefault(text, {})[category] = None
    return {text: list(categories) for text, categories in found.items()}
