"""A study's figures of one category as tables of texts, for the report and for the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from defectbench.evaluation.thresholds import images_to_vouch_for
from defectbench.reports.markdown import MISSING
from defectbench.studies.robustness import CLEAN, HALVES, RESET


class StudyTable(NamedTuple):
    """A figure at every point.

    Attributes
    ----------
    title
        What the figures are.
    points
        What the points are called.
    texts
        By detector, one for each point.
    """

    title: str
    points: list[str]
    texts: dict[str, list[str]]


def study_tables(results: Sequence[Mapping[str, Any]]) -> list[StudyTable]:
    """AUROC with intervals; then false alarms and share found.

    Parameters
    ----------
    results
        Of each detector on one category: ``detector``, ``levels``.
    """
    found = {
        result["detector"]: {_point(level): level for level in result["levels"]}
        for result in results
    }
    # clean images first; a ranking is the same with another threshold
    points = sorted(next(iter(found.values())), key=lambda point: not point.startswith(CLEAN))
    rankings = [point for point in points if not point.endswith(RESET)]
    shares = "False alarms / share found, at the honest threshold"
    return [_table("AUROC", rankings, found, _auroc), _table(shares, points, found, _shares)]


def missing_points(results: Sequence[Mapping[str, Any]]) -> str:
    """Why points have no figures; empty if all have."""
    reasons = {level["reason"]: None for result in results for level in result["levels"]}
    text = "; ".join(filter(None, reasons))
    return f"{MISSING}: {text}." if text else ""


def images_line(result: Mapping[str, Any]) -> str:
    """How many images there are, and whether they can carry a threshold set anew."""
    counts, rate = result["images"], result["false_positive_rate"]
    line = (
        f"{counts['train']} defect-free images to train, {counts['test_good']} good and "
        f"{counts['test_defective']} defective ones to test."
    )
    half, needed = counts["test_good"] // HALVES, images_to_vouch_for(rate)
    if result["study"] == "robustness" and needed and half < needed:
        line += (
            f" A threshold set anew rests on {half} good images, too few to carry {rate:.0%}: that "
            f"takes {needed}."
        )
    return line


def _table(
    title: str,
    points: Sequence[str],
    found: Mapping[str, Mapping[str, Mapping[str, Any]]],
    text: Callable[[Mapping[str, Any]], str],
) -> StudyTable:
    """A table; its points state the images that there were, where more were asked for."""
    named = []
    for point in points:
        measured = [own[point] for own in found.values() if not own[point]["reason"]]
        asked = measured[0]["level"] if measured and "variant" not in measured[0] else "all"
        more = asked != "all" and measured[0]["images"] != asked
        named.append(f"{point}, {measured[0]['images']:.0f} on average" if more else point)
    texts = {name: [text(own[point]) for point in points] for name, own in found.items()}
    return StudyTable(title, named, texts)


def _point(level: Mapping[str, Any]) -> str:
    """What a point is called."""
    value = level["level"]
    if "perturbation" in level:
        severity = "" if level["perturbation"] == CLEAN else f" {value:g}"
        return f"{level['perturbation']}{severity}, {level['variant']}"
    if "train" in level:
        return f"{level['train']} → {value}, {level['variant']}"
    return f"{value:.0%}, {level['variant']}" if "variant" in level else f"{value} images"


def _auroc(level: Mapping[str, Any]) -> str:
    if level["reason"]:
        return MISSING
    low, high = level["intervals"]["image_auroc"]
    return f"{level['image_auroc']:.3f} ({low:.3f}–{high:.3f})"


def _shares(level: Mapping[str, Any]) -> str:
    if level["reason"]:
        return MISSING
    return f"{level['false_positive_rate']:.1%} / {level['recall']:.1%}"
