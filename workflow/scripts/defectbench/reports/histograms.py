"""Scores of the test images on an axis of their own: figures, and what the page's slider needs."""

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.promises import AVERAGE, Asked, lowest_threshold, most_above
from defectbench.evaluation.rates import LEVEL, beta_quantile
from defectbench.evaluation.score_units import score_unit
from defectbench.reports.figures import DEFECTIVE, GOOD, INK, Drawing, Look, page_axes, page_svg
from defectbench.reports.markdown import percent, score

BINS = 40

WIDE = 10
"""Positive scores of which the largest is so many times the smallest stand on a log scale."""

FAR = 4
"""On a linear scale all scores are in sight, unless they reach so many times as far as their bulk:
a few far outliers would squeeze all others into one bar."""

MARGIN = 0.02
"""Of the axis, beyond the outermost scores on either side."""

LARGEST_RATE = 0.2
"""The largest false-positive rate whose thresholds the page offers for export."""


class ScoreAxis(NamedTuple):
    """The axis of a detector's scores, the same in its figure and under the slider.

    Attributes
    ----------
    low, high
        Its ends; scores beyond them are in the outermost bars.
    log
        Whether it is logarithmic.
    ticks
        Round scores between the ends.
    """

    low: float
    high: float
    log: bool
    ticks: list[float]

    def edges(self, bins: int) -> np.ndarray:
        """Edges of bars of equal width in print."""
        space = np.geomspace if self.log else np.linspace
        return space(self.low, self.high, bins + 1)


def score_axis(cell: CellResults) -> ScoreAxis:
    """An axis for the scores of a cell's test images, at least one, and for its threshold."""
    scores, threshold = cell.test.scores, cell.threshold
    marks = [] if threshold is None else [threshold]
    low, high = min([*scores, *marks]), max([*scores, *marks])
    log = bool(low > 0 and high > WIDE * low)
    if log:
        margin = (high / low) ** MARGIN
        low, high = low / margin, high * margin
    else:
        bulk = np.quantile(scores, [0.01, 0.98])
        if high - low > FAR * (bulk[1] - bulk[0]) > 0:
            low, high = min([bulk[0], *marks]), max([bulk[1], *marks])
        margin = MARGIN * (high - low) or 0.5
        low, high = low - margin, high + margin
    low, high = float(low), float(high)
    locator = LogLocator(subs=(1, 2, 5)) if log else MaxNLocator(7)
    ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
    return ScoreAxis(low, high, log, ticks)


def histogram_figure(name: str, cell: CellResults, look: Look) -> Drawing:
    """Scores of the good images and of each defect type, one row each, with the threshold."""
    test, labels, threshold = cell.test, cell.test.labels, cell.threshold
    rows = [("good", labels == 0)] if (labels == 0).any() else []
    rows += [
        (defect, (labels == 1) & (test.defects == defect))
        for defect in sorted(set(test.defects[labels == 1]))
    ]
    axis = score_axis(cell)
    edges = axis.edges(BINS)
    drawn = test.scores.clip(edges[0], edges[-1])
    with page_axes(5, 0.9 + 0.42 * len(rows)) as axes:
        for place, (_, members) in enumerate(rows):
            counts = np.histogram(drawn[members], edges)[0]
            base = len(rows) - 1 - place
            colour = DEFECTIVE if labels[members][0] else GOOD
            heights = base + 0.85 * counts / counts.max()
            axes.stairs(heights, edges, baseline=base, fill=True, color=colour)
            axes.axhline(base, color=INK, linewidth=0.5)
        axes.set_yticks(
            np.arange(len(rows))[::-1] + 0.3,
            [f"{defect} ({int(members.sum())})" for defect, members in rows],
        )
        axes.tick_params(axis="y", length=0)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linestyle="--", linewidth=1.4)
            axes.set_title(f"threshold {threshold:.4g}", fontsize=9)
        if axis.log:
            axes.set_xscale("log")
        axes.set_xticks(axis.ticks, [f"{tick:g}" for tick in axis.ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        scale = ", log scale" if axis.log else ""
        axes.set(xlim=(axis.low, axis.high), ylim=(0, len(rows)), xlabel=f"anomaly score{scale}")
        svg = page_svg(axes.figure, name)
    kinds = ", ".join(["good parts", *(kind for kind, members in rows if labels[members][0])])
    return Drawing(
        svg,
        f"Histograms of the anomaly scores of {look.names[cell.detector]} on {cell.category}: "
        f"{kinds}; the threshold is at {score(threshold)}.",
    )


def slider_data(cell: CellResults, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs to move a detector's threshold.

    Parameters
    ----------
    cell
        The detector on a category.
    figures
        Its cell of a decision.

    Returns
    -------
    dict
        ``category``, ``detector``, ``scores`` of the test images, ``good`` (ascending scores of
        the good images that set the threshold), ``axis``, ``unit``, ``honest`` (the threshold of
        this run), ``presets`` (pairs of a name and a threshold), and ``rates``, from
        `settable_thresholds`.
    """
    made = cell.metrics["specification"]
    return {
        "category": cell.category,
        "detector": cell.detector,
        "scores": cell.test.scores.tolist(),
        "good": sorted(cell.good.scores.tolist()),
        "axis": score_axis(cell)._asdict() if cell.test.paths else None,
        "unit": score_unit(made["scorer"], len(made["layers"])),
        "honest": cell.threshold,
        "presets": _presets(figures),
        "rates": settable_thresholds(cell),
    }


def _presets(figures: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Names of the thresholds of a decision's cell that it has."""
    honest, cost_point = figures["honest"], figures["cost_point"] or {}
    points = [(f"honest, asked {percent(honest['asked'])}", honest["threshold"])]
    points += [
        (f"asked {percent(point['asked'])}", point["threshold"])
        for point in figures["points"]
        if point["rule"] == honest["rule"] and point["asked"] != honest["asked"]
    ]
    points += [("least cost", cost_point.get("threshold"))]
    points += [("oracle, set with the labels", figures["oracle_threshold"])]
    return [(name, threshold) for name, threshold in points if threshold is not None]


def settable_thresholds(cell: CellResults) -> list[tuple[float, float | None]]:
    """Thresholds of exported detectors, and the rate for each.

    That of this run is exported without a rate, for it may be an estimate, which no rate gives.
    Other rates are rounded up to four digits, as they are printed, before the threshold is taken.

    Returns
    -------
    list of tuple
        ``threshold``, ``rate`` (None for that of this run) by falling threshold, up to
        `LARGEST_RATE`.
    """
    promised, groups = cell.metrics["promise"], np.asarray(cell.good.groups, str)
    numbers, images = group_numbers(groups), len(groups)
    count = int(numbers.max(initial=-1)) + 1
    found: dict[float, float | None] = {promised["threshold"]: None} if count else {}
    for above in range(images):
        rate = ceil(1e4 * _least_rate(above * count / images, count, promised["rule"])) / 1e4
        if rate > LARGEST_RATE:
            break
        asked = Asked(rate, promised["rule"])
        if most_above(count, *asked[:2]) >= 0:
            found.setdefault(lowest_threshold(cell.good.scores, numbers, asked)[0], rate)
    return sorted(found.items(), reverse=True)


def _least_rate(above: float, count: int, rule: str) -> float:
    """The smallest rate at which so many of `count` independent scores may lie above."""
    if rule == AVERAGE:
        return (above + 1) / (count + 1)
    return beta_quantile(above + 1, count - above, LEVEL)
