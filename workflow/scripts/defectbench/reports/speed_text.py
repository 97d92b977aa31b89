"""How fast detectors are, in words: one figure, and where it was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.evaluation.cells import SEPARATOR
from defectbench.reports.markdown import listed, percent

BESIDE = 0.1
"""Share of the CPUs that other programs may take while times are still called measured alone."""


class Speed:
    """Milliseconds from an image's file to its verdict, of each detector on each category.

    Parameters
    ----------
    found
        Contents of the categories' ``speed.json``; none where there are no images to time.
    """

    def __init__(self, found: Sequence[Mapping[str, Any]]) -> None:
        self._found = found
        self._milliseconds: dict[tuple[str, str], float] = {}
        for cell, milliseconds in (pair for each in found for pair in each["milliseconds"].items()):
            category, method, backbone = cell.split("/")
            detector = f"{method.partition(SEPARATOR)[0]} {backbone}"
            self._milliseconds.setdefault((category, detector), milliseconds)  # the first seed's

    def of(self, category: str, detector: str) -> float | None:
        """On one category; None if it was not measured."""
        return self._milliseconds.get((category, detector))

    def mean(self, categories: Sequence[str], detector: str) -> float | None:
        """Over categories; None if one was not measured."""
        found = [self.of(category, detector) for category in categories]
        return None if None in found or not found else sum(found) / len(found)

    @property
    def where(self) -> str:
        """Machine, threads, and whether anything ran beside; empty without a measurement."""
        if not self._found:
            return ""
        machines = listed(sorted({_machine(each) for each in self._found}))
        others = max(each["taken_by_others"] or 0 for each in self._found)
        beside = (
            f"; other programs took {percent(round(others, 2))} of the machine meanwhile"
            if others > BESIDE
            else ""
        )
        return f"one at a time, {machines}{beside}"

    @property
    def sentence(self) -> str:
        """What a report says of its times; empty without a measurement."""
        if not self._found:
            return ""
        return (
            "Milliseconds per image go from an image's file to its score, map and verdict, in a "
            f"job that claims all cores: {self.where}. That is PyTorch; an exported detector, in "
            "onnxruntime, is measured in the same way when its file is made."
        )


def _machine(found: Mapping[str, Any]) -> str:
    threads = f"{found['threads']} thread{'s' * (found['threads'] > 1)}"
    gpu = "" if found["device"] == "CPU" else f"{found['device']}, "
    return f"{threads}, {gpu}{found['machine']}"
