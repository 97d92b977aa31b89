"""A study's figures of one category as tables of texts, and as rows of the tidy CSV."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from defectbench.evaluation.promises import fewest
from defectbench.reports.markdown import MISSING
from defectbench.studies.frozen import HALVES
from defectbench.studies.results import CLEAN, FIGURES, Level, Result, Variant

VARIED = ("perturbation", "train", "level", "variant")
"""Keys of a point that say what was varied, as far as a study has them."""


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


def study_tables(results: Sequence[Result]) -> list[StudyTable]:
    """AUROC with intervals; then false alarms and share found.

    Parameters
    ----------
    results
        Of each detector on one category.
    """
    found = {
        result["detector"]: {_point(level): level for level in result["levels"]}
        for result in results
    }
    # clean images first; a ranking is the same with another threshold
    points = sorted(next(iter(found.values())), key=lambda point: not point.startswith(CLEAN))
    rankings = [point for point in points if not point.endswith(Variant.RESET)]
    shares = "False alarms / share found, at the honest threshold"
    return [_table("AUROC", rankings, found, _auroc), _table(shares, points, found, _shares)]


def missing_points(results: Sequence[Result]) -> str:
    """Why points have no figures; empty if all have."""
    reasons = {level["reason"]: None for result in results for level in result["levels"]}
    text = "; ".join(filter(None, reasons))
    return f"{MISSING}: {text}." if text else ""


def images_line(result: Result) -> str:
    """How many images there are, and whether they can carry a threshold set anew."""
    counts, rate = result["images"], result["false_positive_rate"]
    line = (
        f"{counts['train']} defect-free images to train, {counts['test_good']} good and "
        f"{counts['test_defective']} defective ones to test."
    )
    half, needed = counts["test_good"] // HALVES, fewest(0, rate, result["rule"])
    if result["study"] == "robustness" and needed and half < needed:
        line += (
            f" A threshold set anew rests on {half} good images and is an estimate: {rate:.0%} "
            f"takes {needed}."
        )
    return line


def tidy_studies(studies: Mapping[str, Sequence[Result]]) -> pd.DataFrame:
    """A row per point: what was varied, the three figures with their intervals."""
    rows = []
    for study, results in studies.items():
        for result in results:
            for level in result["levels"]:
                row = {
                    "study": study,
                    **{key: result[key] for key in ("category", "method", "backbone")},
                    **{key: level.get(key, "") for key in VARIED},
                    "images": level["images"],
                    "repeats": len(level["repeats"]),
                }
                for name in FIGURES:
                    low, high = level["intervals"].get(name, (None, None))
                    row |= {name: level[name], f"{name}_low": low, f"{name}_high": high}
                rows.append(row | {"reason": level["reason"]})
    return pd.DataFrame(rows)


def _table(
    title: str,
    points: Sequence[str],
    found: Mapping[str, Mapping[str, Level]],
    text: Callable[[Level], str],
) -> StudyTable:
    """A table; points state the mean number of images where it is not the one asked for."""
    titles = []
    for point in points:
        levels = [own[point] for own in found.values() if not own[point]["reason"]]
        # shares and severities have a variant; of training sizes, ``all`` asks for no number
        asked = levels[0]["level"] if levels and "variant" not in levels[0] else "all"
        more = asked != "all" and levels[0]["images"] != asked
        titles.append(f"{point}, {levels[0]['images']:.0f} on average" if more else point)
    texts = {
        name: [MISSING if own[point]["reason"] else text(own[point]) for point in points]
        for name, own in found.items()
    }
    return StudyTable(title, titles, texts)


def _point(level: Level) -> str:
    """What a point is called."""
    value = level["level"]
    if "perturbation" in level:
        severity = "" if level["perturbation"] == CLEAN else f" {value:g}"
        return f"{level['perturbation']}{severity}, {level['variant']}"
    if "train" in level:
        return f"{level['train']} → {value}, {level['variant']}"
    return f"{value:.0%}, {level['variant']}" if "variant" in level else f"{value} images"


def _auroc(level: Level) -> str:
    low, high = level["intervals"]["image_auroc"]
    return f"{level['image_auroc']:.3f} ({low:.3f}–{high:.3f})"


def _shares(level: Level) -> str:
    return f"{level['false_positive_rate']:.1%} / {level['recall']:.1%}"
