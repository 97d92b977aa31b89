"""What is said of many scored images together, also when their world has changed."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectbench.atomic import atomic_path
from defectbench.deployment.detector import Detector
from defectbench.deployment.metadata import NAMES
from defectbench.evaluation.drift import same_world
from defectbench.evaluation.photographs import ImageStatistics, image_statistics
from defectbench.images.network_image import Decoded
from defectbench.score_table import SUMMARY


class Found:
    """What was found in images, one after the other; empty, it is false.

    Parameters
    ----------
    detector
        Which has scored them.
    expectation
        Of the threshold, from `Detector.threshold_at`.

    Attributes
    ----------
    scores
        Of the images that could be read.
    unreadable
        Of the others by name, why.
    """

    def __init__(self, detector: Detector, expectation: Mapping[str, Any]) -> None:
        self._detector, self._expectation = detector, expectation
        self.scores: list[float] = []
        self.unreadable: dict[str, str] = {}
        self._statistics: list[ImageStatistics] = []
        self._begun = time.perf_counter()

    def __bool__(self) -> bool:
        return bool(self.scores or self.unreadable)

    def add(self, score: float, image: Decoded) -> None:
        """Add an image that was scored."""
        self.scores.append(score)
        self._statistics.append(image_statistics(image.pixels, image.size))

    def add_unreadable(self, name: str, reason: str) -> None:
        """Add an image that could not be read."""
        self.unreadable[name] = reason

    def summary(self) -> dict[str, Any]:
        """Counts, threshold, and how the images compare with those behind the threshold.

        Returns
        -------
        dict
            The items of `described`, ``images``, ``defective``, ``unreadable`` (names),
            ``threshold``, ``seconds`` and, where images were scored, ``same_world`` as from
            `drift.same_world`.
        """
        threshold = self._expectation["value"]
        summary = {
            **described(self._detector),
            "images": len(self.scores),
            "defective": sum(score >= threshold for score in self.scores),
            "unreadable": list(self.unreadable),
            "threshold": threshold,
            "seconds": round(time.perf_counter() - self._begun, 2),
        }
        if self.scores:
            seen = self.scores, self._expectation, self._statistics
            summary["same_world"] = same_world(*seen, self._detector.metadata)
        return summary


def write_summary(output: Path, summary: Mapping[str, Any]) -> None:
    """Write the summary of the table in a folder, complete or not at all."""
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    with atomic_path(output / SUMMARY) as part:
        part.write_text(text + "\n", encoding="utf-8")


def described(detector: Detector) -> dict[str, Any]:
    """Which detector it is, what its threshold comes from, and what its graph may use."""
    metadata = detector.metadata
    behind = f"{len(metadata['held_out_scores'])} held-out good images"
    if calibration := metadata.get("calibration"):
        counts = f"{calibration['parts']} good parts ({calibration['images']} images)"
        behind = f"a calibration on {counts} in {calibration['folder']}"
    return {
        "detector_sha256": detector.sha256,
        "detector": "/".join(metadata[name] for name in NAMES),
        "threshold_from": behind,
        "allowance": detector.allowance()._asdict(),
    }
