"""Plots of the studies: one SVG per category and study, a column per figure."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectbench.reports.figures import INK, STYLE, Look, page_svg
from defectbench.studies.perturbed_features import UNITS
from defectbench.studies.robustness import CLEAN, RESET
from defectbench.studies.training_set import TRIMMED

FIGURES = {
    "image_auroc": "AUROC",
    "false_positive_rate": "false alarms, share of good",
    "recall": "found, share of defective",
}
REMEDIES = {TRIMMED: "trimmed", RESET: "threshold reset"}


class Panel(NamedTuple):
    """A row of a plot: what is varied, by detector and variant the points to draw."""

    axis: str
    logarithmic: bool
    lines: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


def study_svg(study: str, results: Sequence[Mapping[str, Any]], look: Look) -> str:
    """A study of one category as a file's SVG, the same for the same results.

    Parameters
    ----------
    study
        Its key in the config.
    results
        Of each detector: ``detector``, ``levels``, ``false_positive_rate``.
    look
        Of all detectors.
    """
    with matplotlib.rc_context({**STYLE, "savefig.transparent": False}):
        figure, stream = _figure(study, results, look), io.BytesIO()
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    return stream.getvalue().decode()


def study_drawing(
    study: str, results: Sequence[Mapping[str, Any]], look: Look, name: str
) -> Markup:
    """The same to stand in a page, in its colours.

    Parameters
    ----------
    study, results, look
        As for `study_svg`.
    name
        By which this drawing's ids differ from those of the page's others.
    """
    with matplotlib.rc_context(STYLE):
        return page_svg(_figure(study, results, look), name)


def _figure(study: str, results: Sequence[Mapping[str, Any]], look: Look) -> Figure:
    panels = list(_panels(study, results))
    asked = results[0]["false_positive_rate"]
    figure = Figure((11, 0.7 + 2.7 * len(panels)), layout="constrained", facecolor="white")
    grid = figure.subplots(len(panels), len(FIGURES), squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        for axes, (name, title) in zip(row, FIGURES.items(), strict=True):
            _draw(axes, panel, name, look)
            axes.set(xlabel=panel.axis, ylabel=title)
            if name == "false_positive_rate":
                axes.axhline(asked, color="#808080", linewidth=1, linestyle=":")
    handles = _legend(panels, look)
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)))
    return figure


def _legend(panels: Sequence[Panel], look: Look) -> list[Line2D]:
    """A line for each detector, and what dashes mean."""
    detectors = dict.fromkeys(detector for detector, _ in panels[0].lines)
    variants = dict.fromkeys(variant for _, variant in panels[0].lines if variant)
    return [
        *(Line2D([], [], **look.point(name), label=look.names[name]) for name in detectors),
        *(
            Line2D([], [], color=INK, linestyle="--", label=f"dashed: {REMEDIES[each]}")
            for each in variants
        ),
    ]


def _panels(study: str, results: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    if study == "training_size":
        lines = {(each["detector"], ""): _points(each["levels"], "images") for each in results}
        yield Panel("defect-free training images", True, lines)
    elif study == "contamination":
        yield Panel("defective share of the training images in %", False, _variants(results, 100))
    else:
        names = [level["perturbation"] for level in results[0]["levels"]]
        for name in dict.fromkeys(name for name in names if name != CLEAN):
            yield Panel(f"{name}: {UNITS[name]}", False, _variants(results, 1, name))


def _variants(
    results: Sequence[Mapping[str, Any]], scale: float, perturbation: str | None = None
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Points by detector and variant; those of a perturbation, with the clean images as its 0."""
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in results:
        for level in each["levels"]:
            if perturbation is None or level["perturbation"] in (CLEAN, perturbation):
                variant = level["variant"] if level["variant"] in REMEDIES else ""
                place = (each["detector"], variant)
                lines.setdefault(place, []).append({**level, "x": scale * level["level"]})
    return {place: _points(levels, "x") for place, levels in lines.items()}


def _points(levels: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Those that have figures, from left to right."""
    found = [{**level, "x": level[key]} for level in levels if not level["reason"]]
    return sorted(found, key=lambda level: level["x"])


def _draw(axes: Axes, panel: Panel, name: str, look: Look) -> None:
    """Lines with intervals, which stand beside each other so that each can be seen."""
    xs = [point["x"] for points in panel.lines.values() for point in points]
    span = np.ptp(np.log(xs) if panel.logarithmic else xs) if xs else 0.0
    middle = (len(panel.lines) - 1) / 2
    for place, ((detector, variant), points) in enumerate(panel.lines.items()):
        if name == "image_auroc" and variant == RESET:
            continue  # no threshold changes a ranking
        shift = (place - middle) * span / 120
        x = np.array([point["x"] for point in points], float)
        x = x * np.exp(shift) if panel.logarithmic else x + shift
        y = np.array([point[name] for point in points])
        limits = np.array([point["intervals"][name] for point in points]).reshape(-1, 2)
        style = look.point(detector)
        axes.vlines(x, *limits.T, color=style["color"], linewidth=1, alpha=0.45)
        line = {"linestyle": "--" if variant else "-", "linewidth": 1.4, "markersize": 5}
        fill = {"markerfacecolor": "white"} if variant else {}
        axes.plot(x, y, **style, **line, **fill)
    if panel.logarithmic and xs:
        axes.set_xscale("log")
        ticks = [size for size in (5, 10, 20, 50, 100, 200, 500, 1000) if size <= 1.2 * max(xs)]
        axes.set_xticks([tick for tick in ticks if tick >= min(xs) / 1.2])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.set_ylim(
        top=None if name == "false_positive_rate" else 1.02,
        bottom=None if name == "image_auroc" else -0.02,
    )
    axes.grid(axis="y")
