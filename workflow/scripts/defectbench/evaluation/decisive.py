"""Which good images look like no other or set a threshold alone, and what it would be without."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.image_metrics import confusion_at
from defectbench.evaluation.promises import Asked, lowest_threshold, most_above, promise
from defectbench.images.index import IndexRow
from defectbench.records import HeldOutScores, Scores
from defectbench.storage import write_json

REFERENCE = Asked(0.05)
"""For which detectors are fitted without odd images, whatever is asked."""

ODD = 3.0
"""A group is odd if its median score lies so many times farther from the median of the others than
their largest score does."""

MOST_ODD = 3
"""Groups, or images without one, that are odd together, at most."""

FEWEST_OTHERS, FEWEST_IMAGES = 8, 19
"""Groups, and images, to which another group is compared; of fewer, one is easily the largest."""

TELLING = 1.25
"""How many times farther from the median of the others a threshold has to lie for a group that is
not odd, or who sets it is not worth telling."""

SHOWN = 6
"""Images that are named, at most."""

CANDIDATES = 50
"""Groups that are tried, those with the highest scores."""


class Decisive(NamedTuple):
    """Images that set a threshold alone, or look like none of the others.

    Attributes
    ----------
    rows
        Of the good images, ascending: all those of a group, or of up to `MOST_ODD`.
    odd
        Whether they look like none of the others.
    threshold
        Without them.
    stretch
        How many times farther from the median score of the others the threshold lies for them.
    """

    rows: np.ndarray
    odd: bool
    threshold: float
    stretch: float

    @property
    def telling(self) -> bool:
        """Whether they are worth telling of."""
        return self.odd or self.stretch >= TELLING


def decisive(
    scores: np.ndarray, groups: Sequence[str] | np.ndarray, asked: Asked
) -> Decisive | None:
    """The groups or images that look like no other; else the one without which a threshold falls.

    Parameters
    ----------
    scores, groups, asked
        As for `promises.promise`.

    Returns
    -------
    Decisive or None
        None where too few others are left to compare with, or for the rule.
    """
    numbers = group_numbers(np.asarray(groups, str))
    count = int(numbers.max(initial=-1)) + 1
    if count <= FEWEST_OTHERS:
        return None
    odd = _odd_groups(scores, numbers)
    left = ~np.isin(numbers, odd or _highest(scores, numbers, asked))
    others = len(np.unique(numbers[left]))
    if most_above(others, asked.rate, asked.rule) < 0 <= most_above(count, asked.rate, asked.rule):
        return None
    threshold = lowest_threshold(scores, numbers, asked)[0]
    without = _threshold(scores, numbers, left, asked)
    middle = np.median(scores[left])
    stretch = (threshold - middle) / max(without - middle, np.finfo(float).tiny)
    return Decisive(np.flatnonzero(~left), bool(odd), without, float(stretch))


def _odd_groups(scores: np.ndarray, numbers: np.ndarray) -> list[int]:
    """Numbers of the fewest groups beyond which there is a gap; empty for none."""
    sizes = np.bincount(numbers)
    in_order = np.lexsort((scores, numbers))
    medians = scores[in_order[np.cumsum(sizes) - 1 - sizes // 2]]
    farthest = np.argsort(-medians, kind="stable")[: min(MOST_ODD, len(sizes) - FEWEST_OTHERS)]
    for place, number in enumerate(farthest, start=1):
        others = scores[~np.isin(numbers, farthest[:place])]
        middle = np.median(others)
        apart = medians[number] - middle >= ODD * (others.max() - middle)
        if len(others) >= FEWEST_IMAGES and apart:
            return farthest[:place].tolist()
    return []


class WithoutDecisive(NamedTuple):
    """What a detector says that was fitted without the training images that are decisive.

    Attributes
    ----------
    left
        Rows of the training images that are left.
    held_out
        float64, the held-out score of each of them.
    test
        float64, of the test images.
    """

    left: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


def write_without_decisive(
    path: str | Path, rows: Sequence[IndexRow], found: WithoutDecisive | None
) -> None:
    """Store them as ``without_decisive.json``, with the images left out; null for none."""
    if found is None:
        write_json(path, None)
        return
    out = np.setdiff1d(np.arange(len(rows)), found.left)
    write_json(
        path,
        {
            "left_out": [rows[row].path for row in out],
            "groups": [rows[row].group for row in found.left],
            "held_out_scores": found.held_out.tolist(),
            "test_scores": found.test.tolist(),
        },
    )


def decisive_figures(
    test: Scores, good: HeldOutScores, asked: Asked, without: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Who sets the honest threshold alone, and what would be found without them.

    Parameters
    ----------
    test, good
        Scores of the test images, and of those that set the threshold.
    asked
        What the honest threshold is to keep.
    without
        Contents of ``without_decisive.json``; None where the threshold's images train nothing.

    Returns
    -------
    dict or None
        ``names`` of the groups, or paths; ``images``; ``odd``; ``alone``: whether the threshold
        lies much farther out for them; ``median_score`` of them; ``paths``
        and ``scores`` of the `SHOWN` highest; ``threshold``, ``found_rate`` and
        ``false_alarm_rate`` without them; ``fitted_without``: the same three of a detector that
        was fitted without them, None where there is none. None where nothing is worth telling.
    """
    found = decisive(good.scores, good.groups, asked)
    if found is None or not found.telling:
        return None
    own = found.rows[np.argsort(-good.scores[found.rows], kind="stable")]
    named = [str(good.groups[row]) or good.paths[row] for row in own]
    fitted_without = None
    if without and set(without["left_out"]) == {good.paths[row] for row in own}:
        scores = np.array(without["held_out_scores"])
        threshold = promise(scores, without["groups"], asked)["threshold"]
        again = test._replace(scores=np.array(without["test_scores"]))
        fitted_without = _rates(again, threshold)
    return {
        "names": list(dict.fromkeys(named)),
        "images": len(own),
        "odd": found.odd,
        "alone": found.stretch >= TELLING,
        "median_score": float(np.median(good.scores[own])),
        "paths": [good.paths[row] for row in own[:SHOWN]],
        "scores": good.scores[own[:SHOWN]].tolist(),
        **_rates(test, found.threshold),
        "fitted_without": fitted_without,
    }


def _rates(test: Scores, threshold: float | None) -> dict[str, float | None]:
    if threshold is None:
        return dict.fromkeys(("threshold", "found_rate", "false_alarm_rate"))
    confusion = confusion_at(test.labels, test.scores, threshold)
    return {
        "threshold": threshold,
        "found_rate": confusion.recall,
        "false_alarm_rate": confusion.false_positive_rate,
    }


def _highest(scores: np.ndarray, numbers: np.ndarray, asked: Asked) -> int:
    """The group without which the threshold is lowest."""
    in_order = numbers[np.argsort(-scores, kind="stable")]
    return min(
        list(dict.fromkeys(in_order.tolist()))[:CANDIDATES],
        key=lambda number: _threshold(scores, numbers, numbers != number, asked),
    )


def _threshold(scores: np.ndarray, numbers: np.ndarray, left: np.ndarray, asked: Asked) -> float:
    renumbered = np.unique(numbers[left], return_inverse=True)[1]
    return lowest_threshold(scores[left], renumbered, asked)[0]
