"""What slips through against the time an image takes, of every set-up that was tried."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from defectbench.evaluation.choice import ESCAPES, STABILITY
from defectbench.reports import search_text
from defectbench.reports.figures import COLOURS, INK, MARKERS, STYLE, log_axis, page_svg

PALE = 0.35


def search_svg(found: Mapping[str, Any], asked: float) -> str:
    """As a file's SVG, the same for the same search."""
    with matplotlib.rc_context({**STYLE, "savefig.transparent": False}):
        figure, stream = _figure(found, asked), io.BytesIO()
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    return stream.getvalue().decode()


def search_drawing(found: Mapping[str, Any], asked: float, name: str) -> Markup:
    """The same to stand in a page, in its colours; `name` begins its ids."""
    with matplotlib.rc_context(STYLE):
        return page_svg(_figure(found, asked), name)


def search_section(found: Mapping[str, Any], asked: float) -> dict[str, Any]:
    """What the page shows of a search: sentences, the figure, tables."""
    sentences = [search_text.nested(found), search_text.how(found, asked)]
    return {
        "sentences": [sentence for sentence in sentences if sentence],
        "drawing": search_drawing(found, asked, "search"),
        "tables": search_text.tables(found, asked),
        "best": found["best"],
    }


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points, those than which none is both left of and below, from left to right."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not kept or y < kept[-1][1]:
            kept.append((x, y))
    return kept


def _figure(found: Mapping[str, Any], asked: float) -> Figure:
    figure = Figure((8, 4.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    tried = [each for each in found["tried"] if not each["problem"]]
    detectors = sorted({each["detector"] for each in tried})
    looks = dict(zip(detectors, zip(COLOURS, MARKERS, strict=False), strict=False))
    whole = [each for each in tried if each["name"] in found["finalists"]]
    drawn = tried if found["by"] == found["by_part"] else whole
    for each in drawn:
        colour, marker = looks[each["detector"]]
        alpha = 1.0 if each in whole else PALE
        place = each["milliseconds"], _height(each, found["by"])
        axes.plot(*place, marker, color=colour, alpha=alpha, markersize=8 if each in whole else 5)
        if each["name"] == found["best"]:
            axes.plot(*place, "o", markersize=16, markerfacecolor="none", markeredgecolor=INK)
            axes.annotate(each["name"], place, (10, 10), textcoords="offset points", fontsize=9)
    best = frontier([(each["milliseconds"], _height(each, found["by"])) for each in whole])
    axes.step(*zip(*best, strict=True), where="post", color=INK, linewidth=0.8, linestyle=":")
    for name in sorted({each["detector"] for each in drawn}):
        axes.plot([], [], looks[name][1], color=looks[name][0], label=name)
    if len(drawn) > len(whole):
        axes.plot([], [], "o", color=INK, alpha=PALE, markersize=5, label="on a part of the images")
    axes.plot([], [], ":", color=INK, linewidth=0.8, label="none is faster and better")
    figure.legend(loc="outside right upper", fontsize=9)
    log_axis([each["milliseconds"] for each in drawn], axes)
    axes.set(xlabel="milliseconds from file to score (log scale)", ylabel=_axis(found["by"], asked))
    axes.margins(y=0.12)
    axes.grid()
    return figure


def _height(each: Mapping[str, Any], by: str) -> float:
    if by == STABILITY:
        return -each["merit"]
    return 1000 * (1 - each["merit"])


def _axis(by: str, asked: float) -> str:
    if by == STABILITY:
        return "threshold above the median, interquartile ranges"
    if by == ESCAPES:
        return f"slip through at {100 * asked:g} %, of 1,000 defective"
    return "1,000 × (1 − AUROC)"
