"""What is said of many scored images together, also when their world has changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.deployment.detector import Detector
from defectbench.deployment.detector_file import NAMES
from defectbench.deployment.drift import same_world
from defectbench.deployment.photographs import ImageStatistics


def folder_summary(
    detector: Detector,
    expectation: Mapping[str, Any],
    scores: Sequence[float],
    statistics: Sequence[ImageStatistics],
    unreadable: Sequence[str],
) -> dict[str, Any]:
    """Counts, threshold, and how the images compare with those behind the threshold.

    Parameters
    ----------
    detector
        Which has scored them.
    expectation
        Of the threshold, from `Detector.threshold_at`.
    scores, statistics
        Of the images that could be read.
    unreadable
        Names of the others.

    Returns
    -------
    dict
        ``detector_sha256``, ``detector``, ``threshold_from``, ``images``, ``defective``,
        ``unreadable``, ``threshold`` and, where images were scored, ``same_world`` as from
        `drift.same_world`.
    """
    summary = {
        **described(detector),
        "images": len(scores),
        "defective": sum(score >= expectation["value"] for score in scores),
        "unreadable": list(unreadable),
        "threshold": expectation["value"],
    }
    if scores:
        summary["same_world"] = same_world(scores, expectation, statistics, detector.metadata)
    return summary


def described(detector: Detector) -> dict[str, str]:
    """Which detector it is, and the images that its threshold comes from."""
    metadata = detector.metadata
    behind = f"{len(metadata['held_out_scores'])} held-out good images"
    if calibration := metadata.get("calibration"):
        counts = f"{calibration['parts']} good parts ({calibration['images']} images)"
        behind = f"a calibration on {counts} in {calibration['folder']}"
    return {
        "detector_sha256": detector.sha256,
        "detector": "/".join(metadata[name] for name in NAMES),
        "threshold_from": behind,
    }
