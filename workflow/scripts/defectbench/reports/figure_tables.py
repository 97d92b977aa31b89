"""Sections of the report that hold a table of categories by detectors."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from defectbench.evaluation.averages import AVERAGE
from defectbench.reports import markdown
from defectbench.reports.flags import categories_by_text, cautions, legend, marks
from defectbench.reports.markdown import MISSING, bounds, number
from defectbench.reports.published import agreement, published_texts
from defectbench.reports.results import Results


class Section(NamedTuple):
    """What a table of figures shows.

    Attributes
    ----------
    metric, title
        As `Results.figures` names it, and for people.
    note
        A paragraph above the table; ``{asked}`` in it is the false-positive rate asked for.
    marked
        Flags whose marks stand at the figures.
    best
        Whether the largest figure of each category is in bold.
    trivial
        Metric of the answer "everything is defective", to stand before the detectors.
    """

    metric: str
    title: str
    note: str = ""
    marked: Sequence[str] = ()
    best: bool = True
    trivial: str = ""


def figure_section(
    results: Results, section: Section, more: str = "", detectors: Sequence[str] = ()
) -> str:
    """One metric: its figures with intervals, why some are missing, and the published ones.

    Parameters
    ----------
    section
        What it shows.
    more
        A further paragraph above the table.
    detectors
        Those shown; all by default.
    """
    found = {each: results.figures(section.metric, each) for each in detectors or results.detectors}
    bold = _largest(found) if section.best else {}
    columns = {}
    if section.trivial:
        values = results.figures(section.trivial, results.detectors[0])["value"]
        columns["everything is defective"] = list(map(number, values))
    published = {}
    for detector, figures in found.items():
        entries = results.entries(detector)
        signs = {entry["category"]: marks(entry["flags"], section.marked) for entry in entries}
        columns[named(results, detector)] = [
            _text(figures.loc[name], len(results.images), (detector, name) in bold)
            + f" {signs.get(name, '')}".rstrip()
            for name in figures.index
        ]
        if figures["published"].notna().any():
            published[detector] = published_texts(figures)
    return markdown.paragraphs(
        f"## {section.title}",
        section.note.format(asked=f"{results.false_positive_rate:.1%}"),
        more,
        matrix(results, columns),
        missing_figures(results, section.metric),
        "Published, and in brackets measured minus published:" if published else "",
        matrix(results, published) if published else "",
        agreement(list(found.values())),
    )


def matrix(results: Results, columns: Mapping[str, Sequence[str]]) -> str:
    """Texts by category and detector; of each column the first is for the average."""
    return markdown.grid([results.average_title, *results.categories], columns)


def _text(figure: pd.Series, categories: int, bold: bool) -> str:
    """A figure, its deviation over seeds, its interval, and what it averages if not all."""
    value = MISSING if _is_missing(figure) else number(figure["value"])
    remarks = []
    if figure.name == AVERAGE and value != MISSING and figure["categories"] != categories:
        remarks.append(f"of {figure['categories']:.0f}")
    if pd.notna(figure["low"]):
        remarks.append(bounds((figure["low"], figure["high"])))
    text = f"**{value}**" if bold else value
    if value != MISSING and pd.notna(figure["deviation"]):
        text += f" ± {number(figure['deviation'])}"
    return f"{text} ({'; '.join(remarks)})" if remarks else text


def _is_missing(figure: pd.Series) -> bool:
    return pd.isna(figure["value"]) or pd.notna(figure["reason"])


def _largest(found: Mapping[str, pd.DataFrame]) -> set[tuple[str, str]]:
    """Which figures are, as printed, the largest of several that differ, category by category."""
    largest = set()
    for name in next(iter(found.values())).index:
        rows = {detector: figures.loc[name] for detector, figures in found.items()}
        values = {d: round(row["value"], 3) for d, row in rows.items() if not _is_missing(row)}
        # averages over different categories are of different images, so none is the best
        averaged_alike = len({rows[detector]["categories"] for detector in values}) == 1
        if averaged_alike and len(set(values.values())) > 1:
            top = max(values.values())
            largest |= {(detector, name) for detector in values if values[detector] == top}
    return largest


def named(results: Results, detector: str) -> str:
    """A detector's name with the marks of all categories."""
    raised = {flag for entry in results.entries(detector) for flag in entry["flags"]}
    return f"{detector} {marks(raised)}".strip()


def cautions_section(results: Results) -> str:
    """Marks and their meaning, and what the number of images does not allow to conclude."""
    found = cautions(results.metrics)
    lines = [f"{', '.join(where)}: {text}" for text, where in found.items()]
    return _bullets("Cautions", [f"{line}." for line in (*legend(results.metrics), *lines)])


def notes(results: Results) -> str:
    """What was noticed in the images of each category."""
    return _bullets(
        "Worth knowing about the images",
        [
            f"{category}: {note}"
            for category in results.categories
            for note in results.notes.get(category, ())
        ],
    )


def _bullets(title: str, lines: Sequence[str]) -> str:
    """A section of remarks; empty without any."""
    body = "\n".join(f"- {line}" for line in lines)
    return markdown.paragraphs(f"## {title}", body) if lines else ""


def missing_figures(results: Results, *metrics: str) -> str:
    """Why figures of these metrics are a dash: one line, or none."""
    found = results.tidy[results.tidy["metric"].isin(metrics)].dropna(subset="reason")
    pairs = zip(found["reason"], found["category"], strict=True)
    reasons = [f"{', '.join(where)}: {text}" for text, where in categories_by_text(pairs).items()]
    return f"{MISSING}: {'; '.join(reasons)}." if reasons else ""
