"""A study's figures of one category as tables of texts, and as rows of the tidy CSV."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from defectbench.evaluation.promises import fewest
from defectbench.reports.markdown import MISSING
from defectbench.studies.phrases import in_words
from defectbench.studies.results import ALL, CLEAN, FIGURES, Level, Result, Variant, measured

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
    kinds = ("train", "test_good", "test_defective")
    train, good, defective = (_images(counts, kind) for kind in kinds)
    line = (
        f"{train} defect-free images to train, {good} good and {defective} defective ones to test."
    )
    anew = measured(result, variant=Variant.RESET)
    set_on = min((level["repeats"][0]["set_on"] for level in anew), default=None)
    needed = fewest(0, rate, result["rule"])
    if set_on is not None and needed and set_on < needed:
        line += (
            f" A threshold set anew rests on as few as {set_on} independent good images and is an "
            f"estimate: {rate:.0%} takes {needed}."
        )
    return line


def _images(counts: Mapping[str, int], kind: str) -> str:
    """How many images there are of a kind, and in how many groups where they are in groups."""
    images = counts[kind]
    groups = counts.get(f"{kind}_groups", images)
    return f"{images}" if groups == images else f"{images} (in {in_words(groups)})"


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
                    "groups": level.get("groups"),
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
    """A table of one text per point and detector."""
    titles = [
        _title(point, [own[point] for own in found.values() if not own[point]["reason"]])
        for point in points
    ]
    texts = {
        name: [MISSING if own[point]["reason"] else text(own[point]) for point in points]
        for name, own in found.items()
    }
    return StudyTable(title, titles, texts)


def _title(point: str, levels: Sequence[Level]) -> str:
    """A point's name; of training sizes, with what else its number of images means.

    That is the mean number of images where it is not the one asked for, of how many groups they
    are, and whether they were drawn once, so that the interval tells nothing of other draws.
    """
    if not levels or "variant" in levels[0]:
        return point
    level = levels[0]
    of_all = level["level"] == ALL
    if level["groups"] != level["images"]:
        mean = "" if of_all else " on average"
        point += f", {level['images']:.0f} in {in_words(level['groups'])}{mean}"
    return point if of_all or len(level["repeats"]) > 1 else f"{point}, one draw"


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
