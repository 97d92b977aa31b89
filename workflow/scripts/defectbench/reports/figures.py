"""Figures of the page: SVG that is the same for the same figures, legible in light and dark."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

# Okabe and Ito's colours (2008), told apart with any colour vision; yellow is too pale for lines
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((), (6, 2), (6, 2, 1.5, 2), (1.5, 2), (8, 2, 1.5, 2, 1.5, 2))
MARKERS = "osD^vPX*<>"
GOOD, DEFECTIVE = "#0072B2", "#D55E00"
LINE = 1.8

NARROWEST = 3
"""A logarithmic axis reaches at least so many times above and below its middle."""

INK = "#010203"
"""Stands for the text colour of the page, which it becomes when the SVG is written."""

STYLE = {
    "svg.hashsalt": "defectbench",
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a name is never markup
    "axes.unicode_minus": True,
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "savefig.transparent": True,
    "grid.color": "#808080",
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
}

Curve = tuple[Sequence[float], Sequence[float]]


class Look:
    """Name, colour, dash and marker of each detector, the same in all figures.

    Parameters
    ----------
    names
        Short name of each detector, in their order.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(names)
        self._places = {detector: place for place, detector in enumerate(names)}

    def line(self, detector: str) -> dict[str, Any]:
        """Arguments of a line; no two of the first 30 detectors look alike."""
        place = self._places[detector]
        dashes = DASHES[place % len(DASHES)]
        return {
            "color": COLOURS[place % len(COLOURS)],
            "linestyle": (0, tuple(length / LINE for length in dashes)) if dashes else "-",
            "linewidth": LINE,
        }

    def point(self, detector: str) -> dict[str, Any]:
        """Arguments of a point."""
        place = self._places[detector]
        return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}

    def legend(self, detectors: Iterable[str]) -> list[dict[str, str]]:
        """What a legend in the page needs: ``label``, ``colour``, ``dashes`` of each line."""
        return [
            {
                "label": self.names[detector],
                "colour": COLOURS[self._places[detector] % len(COLOURS)],
                "dashes": " ".join(map(str, DASHES[self._places[detector] % len(DASHES)])),
            }
            for detector in detectors
        ]


class Drawing(NamedTuple):
    """A figure and what it shows, in words."""

    svg: Markup
    alt: str


@contextmanager
def page_axes(width: float, height: float) -> Iterator[Axes]:
    """Axes of a new figure for the page; within, all that is drawn has its style."""
    with matplotlib.rc_context(STYLE):
        yield Figure((width, height), layout="constrained").add_subplot()


def log_axis(values: Sequence[float], axes: Axes) -> None:
    """A logarithmic axis over values above 0, wide enough that what is nearly equal looks so."""
    low, high = min(values) / 1.5, max(values) * 1.5
    middle = (low * high) ** 0.5
    axes.set_xscale("log")
    axes.set_xlim(min(low, middle / NARROWEST), max(high, middle * NARROWEST))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def ranking_figure(detectors: Sequence[Mapping[str, Any]], look: Look) -> Markup | None:
    """Mean AUROC of each detector as a dot with its 95 % interval, the best on top.

    None where no detector has one, as without good or without defective test images.
    """
    shown = [entry for entry in detectors if entry["auroc"] is not None]
    if not shown:
        return None
    with page_axes(5, 0.8 + 0.34 * len(shown)) as axes:
        for place, entry in enumerate(shown):
            value, (low, high) = entry["auroc"], entry["auroc_interval"]
            style = look.point(entry["detector"])
            if low is not None:
                axes.plot([low, high], [place, place], color=style["color"], linewidth=2)
            axes.plot(value, place, **style, markersize=8)
            end = value if high is None else high
            _note(axes, f"{value:.3f}", (end, place), (6, 0), va="center")
        axes.set_yticks(range(len(shown)), [look.names[entry["detector"]] for entry in shown])
        axes.set(ylim=(len(shown) - 0.4, -0.6), xlabel="AUROC, mean, with 95 % interval")
        axes.margins(x=0.15)
        axes.grid(axis="x")
        return page_svg(axes.figure, "ranking")


def curve_panels(
    name: str,
    category: str,
    roc: Mapping[str, Curve],
    precision_recall: Mapping[str, Curve],
    pro: Mapping[str, Curve],
    look: Look,
) -> list[Drawing]:
    """ROC, its low end on a logarithmic scale, precision-recall, and PRO where it is known.

    Parameters
    ----------
    name
        Prefix of the ids in the figures.
    category
        For the texts beside them.
    roc, precision_recall, pro
        x and y of each detector's curve.
    """
    positive = [rates[rates > 0].min() for rates, _ in roc.values()]
    lowest = min([*positive, 0.02])
    good, found, right = "good parts rejected", "defects found", "share of rejected that is bad"
    marked = ("good surface marked", "share of each defect marked")
    panels = [
        ("r", "ROC", roc, (good, found), (0, 1)),
        ("l", "ROC, few false alarms", roc, (f"{good} (log)", found), (lowest, 0.2)),
        ("p", "Precision–recall", precision_recall, (found, right), (0, 1)),
        ("o", "PRO", pro, marked, (0, 0.3)),
    ]
    drawings = []
    for letter, heading, curves, axis_names, limits in panels:
        if curves:
            told = ", ".join(look.names[detector] for detector in curves)
            svg = _panel(name + letter, heading, curves, look, axis_names, limits)
            drawings.append(Drawing(svg, f"{heading} curve of {told} on {category}."))
    return drawings


def _panel(
    name: str,
    heading: str,
    curves: Mapping[str, Curve],
    look: Look,
    axis_names: tuple[str, str],
    limits: tuple[float, float],
) -> Markup:
    """Curves of one kind in a unit square, or between other limits along x."""
    with page_axes(2.7, 2.8) as axes:
        for detector, curve in curves.items():
            axes.plot(*curve, **look.line(detector))
        axes.set(title=heading, xlabel=axis_names[0], ylabel=axis_names[1])
        if limits[0] > 0:
            axes.set_xscale("log")
            ticks = [tick for tick in (0.001, 0.003, 0.01, 0.03, 0.1) if tick >= limits[0]]
            axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
            axes.minorticks_off()
        axes.set(xlim=limits, ylim=(0, 1.02))
        axes.grid()
        return page_svg(axes.figure, name)


def _note(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", fontsize=9, **style)


def page_svg(figure: Figure, name: str) -> Markup:
    """A figure as an element of a page, without header and date.

    Ids begin with the name, because figures share a page; those of groups, which nothing refers to,
    go. The size is in pixels, the text in the colour of the page.
    """
    stream = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts have it
        figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue().decode()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', text))
    for old in sorted(used, key=len, reverse=True):
        text = re.sub(rf'(id="|href="#|url\(#){re.escape(old)}(?=["\)])', rf"\1{name}-{old}", text)
    text = re.sub(r'( d| points| transform| x| y)="[^"]*"', _rounded, text)
    width, height = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text).groups()
    size = f'width="{float(width) * 4 / 3:.0f}" height="{float(height) * 4 / 3:.0f}"'
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', size, text, count=1)
    return Markup(re.sub(r"\s*\n\s*", "\n", text).strip())


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda each: f"{float(each[0]):.2f}", attribute[0])
