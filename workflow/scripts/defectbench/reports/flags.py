"""Marks where a detector's name stands: what speaks against it at its honest threshold."""

from collections.abc import Mapping
from typing import Any

from defectbench.reports.results import Detector, Results

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
