"""What a better ranking costs: figures of AUROC against time and memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from defectbench.reports.figures import Drawing, Look, log_axis, page_axes, page_svg

LABEL = 0.19
"""Height of a line of text with its distance to the next, in inches."""


def cost_figures(detectors: Iterable[Mapping[str, Any]], look: Look) -> list[Drawing]:
    """Mean AUROC against milliseconds per image and against memory, where they are known.

    Names stand in a column at the right, each at the end of a line to its point, so that equal
    points keep a name each.
    """
    kinds = {"milliseconds": "milliseconds per image", "peak_mb": "peak memory in MB"}
    drawings = []
    for key, unit in kinds.items():
        entries = [entry for entry in detectors if entry[key] and entry["auroc"] is not None]
        if not entries:
            continue
        with page_axes(5.2, max(3.2, 0.9 + LABEL * len(entries))) as axes:
            for entry in entries:
                style = look.point(entry["detector"])
                low, high = entry["auroc_interval"]
                if low is not None:
                    axes.plot([entry[key]] * 2, [low, high], color=style["color"], linewidth=1)
                axes.plot(entry[key], entry["auroc"], **style, markersize=8)
            log_axis([entry[key] for entry in entries], axes)
            axes.set(xlabel=f"{unit} (log scale)", ylabel="AUROC, mean, 95 % interval")
            axes.margins(y=0.1)
            axes.grid()
            _name_points(entries, key, axes, look)
            told = ", ".join(f"{look.names[e['detector']]} {e[key]:.3g}" for e in entries)
            drawings.append(Drawing(page_svg(axes.figure, key), f"AUROC against {unit}: {told}."))
    return drawings


def _name_points(entries: Sequence[Mapping[str, Any]], key: str, axes: Axes, look: Look) -> None:
    """The name of each point beside the axes, in the points' order and clear of each other."""
    bottom, top = axes.get_ylim()
    step = LABEL / (
        0.8 * axes.figure.get_figheight()
    )  # as a share of the axes, with what is around
    by_height = sorted(entries, key=lambda each: (each["auroc"], -each[key]))
    wanted = [(each["auroc"] - bottom) / (top - bottom) for each in by_height]
    for entry, place in zip(by_height, spread(wanted, step), strict=True):
        axes.annotate(
            look.names[entry["detector"]],
            (entry[key], entry["auroc"]),
            (1.03, place),
            textcoords="axes fraction",
            fontsize=9,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": look.point(entry["detector"])["color"],
                "linewidth": 0.6,
                "shrinkB": 5,
            },
        )


def spread(wanted: Sequence[float], step: float) -> list[float]:
    """Places that are at least `step` apart and as near to the wanted ones, which ascend.

    Neighbours that come too near become one block about the mean of what they want.
    """
    blocks: list[list[float]] = []  # of each: the place of its first, and how many
    for value in wanted:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] + step * blocks[-2][1] > blocks[-1][0]:
            first, count = blocks.pop()
            before, so_many = blocks.pop()
            # the block's first place that lies nearest to what all of them want
            mean = (before * so_many + (first - step * so_many) * count) / (so_many + count)
            blocks.append([mean, so_many + count])
    return [first + step * number for first, count in blocks for number in range(int(count))]
