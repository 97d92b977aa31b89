"""How large a defect has to be to be found, in words and as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.reports.markdown import Columns, share

SIZES: Columns = {
    "pixels of the image": lambda row: pixel_range(row["pixels"]),
    "of what the network sees": lambda row: pixel_range(row["seen"]),
    "images": lambda row: row["images"],
    "found": lambda row: share(row["found"] / row["images"], row["found_rate_interval"]),
}
"""Columns of a class of `evaluation.found_by_size.found_by_size`."""


def often_found(found: Mapping[str, Any]) -> str:
    """From which size on defects are found nine times in ten, with how sure that is."""
    often = found["often"]
    size, (low, high) = often["pixels"], often["pixels_interval"]
    if size is None:
        above = f": it lies above {pixels(low)} px (95 % confidence)" if low is not None else ""
        return f"These defects show no size from which nine in ten are found{above}."
    seen = f"{pixels(size)} px of the image on, {pixels(often['seen'])} px of what the network sees"
    return f"Defects are found nine times in ten from about {seen} ({_limits(low, high)})."


def _limits(low: float | None, high: float | None) -> str:
    sure = "with 95 % confidence"
    if low is None and high is None:
        return "how exact that is, so few defects do not tell"
    if high is None:
        return f"{sure} not below {pixels(low)} px; so few defects leave the upper end open"
    if low is None:
        return f"{sure} from {pixels(high)} px on at the latest; the lower end is open"
    return f"{sure} between {pixels(low)} and {pixels(high)} px"


def pixels(area: float) -> str:
    """An area with two digits."""
    return f"{float(f'{area:.2g}'):,.0f}" if area >= 10 else f"{area:.2g}"


def pixel_range(limits: Sequence[float]) -> str:
    """The smallest and the largest area of a class."""
    return f"{pixels(limits[0])}–{pixels(limits[1])}"
