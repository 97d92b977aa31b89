"""Plots of the studies: one SVG per category and study, a column per figure."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from defectbench.reports.figures import INK, STYLE, Look, page_svg
from defectbench.studies.perturbed_features import unit
from defectbench.studies.results import CLEAN, FIGURES, Level, Result, Variant

TITLES = ("AUROC", "false alarms, share of good", "found, share of defective")
"""Of each of `FIGURES`."""

PLOTTED = ("training_size", "contamination", "robustness")
"""Studies whose levels have an order, which is what a line in a plot shows."""

REMEDIES = {Variant.TRIMMED: "trimmed", Variant.RESET: "threshold reset"}
"""Variants drawn in dashes, and what the legend says of them."""


class Panel(NamedTuple):
    """A row of a plot: what is varied, and by detector and variant the points to draw.

    A point is its place on the axis and its level.
    """

    axis: str
    logarithmic: bool
    lines: Mapping[tuple[str, str], Sequence[tuple[float, Level]]]


def study_svg(study: str, results: Sequence[Result], look: Look) -> str:
    """A study of one category as a file's SVG, the same for the same results.

    Parameters
    ----------
    study
        Its key in the config.
    results
        Of each detector.
    look
        Of all detectors.
    """
    with matplotlib.rc_context({**STYLE, "savefig.transparent": False}):
        figure, stream = _figure(study, results, look), io.BytesIO()
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    return stream.getvalue().decode()


def study_drawing(study: str, results: Sequence[Result], look: Look, name: str) -> Markup:
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


def _figure(study: str, results: Sequence[Result], look: Look) -> Figure:
    panels = list(_panels(study, results))
    asked = results[0]["false_positive_rate"]
    figure = Figure((11, 0.7 + 2.7 * len(panels)), layout="constrained", facecolor="white")
    grid = figure.subplots(len(panels), len(FIGURES), squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        for axes, name, title in zip(row, FIGURES, TITLES, strict=True):
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


def _panels(study: str, results: Sequence[Result]) -> Iterator[Panel]:
    if study == "training_size":
        # the images that there were, and not ``level``: groups are whole, and ``all`` is no number
        yield Panel("defect-free training images", True, _lines(results, "images"))
    elif study == "contamination":
        axis = "defective share of the training images in %"
        yield Panel(axis, False, _lines(results, "level", 100))
    else:
        names = [level["perturbation"] for level in results[0]["levels"]]
        for name in dict.fromkeys(name for name in names if name != CLEAN):
            # clean images are the 0 of every perturbation
            lines = _lines(results, "level", 1, (CLEAN, name))
            yield Panel(f"{name}: {unit(name)}", False, lines)


def _lines(
    results: Sequence[Result], key: str, scale: float = 1, perturbations: Sequence[str] = ()
) -> dict[tuple[str, str], list[tuple[float, Level]]]:
    """Points that have figures, from left to right, by detector and remedy.

    Parameters
    ----------
    key, scale
        What of a level is its place on the axis, and by how much it is multiplied.
    perturbations
        Of the points; empty for a study without.
    """
    lines: dict[tuple[str, str], list[tuple[float, Level]]] = {}
    for result in results:
        for level in result["levels"]:
            if not perturbations or level["perturbation"] in perturbations:
                variant = level.get("variant", "")
                line = (result["detector"], variant if variant in REMEDIES else "")
                points = lines.setdefault(line, [])  # empty lines keep their place in the legend
                if not level["reason"]:
                    points.append((scale * level[key], level))
    return {line: sorted(points, key=lambda point: point[0]) for line, points in lines.items()}


def _draw(axes: Axes, panel: Panel, name: str, look: Look) -> None:
    """Lines with intervals, which stand beside each other so that each can be seen."""
    xs = [x for points in panel.lines.values() for x, _ in points]
    span = np.ptp(np.log(xs) if panel.logarithmic else xs) if xs else 0.0
    middle = (len(panel.lines) - 1) / 2
    for place, ((detector, variant), points) in enumerate(panel.lines.items()):
        if name == "image_auroc" and variant == Variant.RESET:
            continue  # no threshold changes a ranking
        shift = (place - middle) * span / 120
        x = np.array([x for x, _ in points], float)
        x = x * np.exp(shift) if panel.logarithmic else x + shift
        y = np.array([level[name] for _, level in points])
        limits = np.array([level["intervals"][name] for _, level in points]).reshape(-1, 2)
        style = look.point(detector)
        axes.vlines(x, *limits.T, color=style["color"], linewidth=1, alpha=0.45)
        line = {"linestyle": "--" if variant else "-", "linewidth": 1.4, "markersize": 5}
        fill = {"markerfacecolor": "white"} if variant else {}
        axes.plot(x, y, **style, **line, **fill)
    if panel.logarithmic and xs:
        _mark_sizes(axes, xs)
    axes.set_ylim(
        top=None if name == "false_positive_rate" else 1.02,
        bottom=None if name == "image_auroc" else -0.02,
    )
    axes.grid(axis="y")


def _mark_sizes(axes: Axes, sizes: Sequence[float]) -> None:
    """A logarithmic axis whose marks are round numbers, also where they are less than a decade."""
    axes.set_xscale("log")
    ticks = [size for size in (5, 10, 20, 50, 100, 200, 500, 1000) if size <= 1.2 * max(sizes)]
    axes.set_xticks([tick for tick in ticks if tick >= min(sizes) / 1.2])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
