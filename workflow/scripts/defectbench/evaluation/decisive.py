"""Which good images set a threshold alone, and what it would be without them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.operating_points import judged
from defectbench.evaluation.promises import Asked, lowest_threshold, most_above, promise
from defectbench.records import HeldOutScores, Scores

REFERENCE = Asked(0.05)
"""For which detectors are fitted without odd images, whatever is asked."""

ODD = 3.0
"""Images are odd if without them the threshold lies so many times nearer to the median score."""

MOST_UNITS = 3
"""Groups, or images without one, that are left out together, at most."""

FEWEST_LEFT = 8
"""Groups, or images without one, that are left; of fewer, any one sets the threshold."""

TELLING = 1.25
"""Stretch below which it is not worth telling who sets a threshold."""

SHOWN = 6
"""Images that are named, at most."""

CANDIDATES = 50
"""Groups that are tried, those with the highest scores."""


class Decisive(NamedTuple):
    """Images that set a threshold alone.

    Attributes
    ----------
    rows
        Of the good images, ascending: all those of one group, or of up to `MOST_UNITS`.
    threshold
        Without them.
    stretch
        How many times farther from the median score of the others the threshold lies for them.
    """

    rows: np.ndarray
    threshold: float
    stretch: float

    @property
    def odd(self) -> bool:
        """Whether they look like none of the others."""
        return self.stretch >= ODD


def decisive(
    scores: np.ndarray, groups: Sequence[str] | np.ndarray, asked: Asked
) -> Decisive | None:
    """The group or image without which a threshold falls most; several where they are odd together.

    No more are left out than the rule lets lie above the threshold and one: of so few the next
    ones set it.

    Parameters
    ----------
    scores, groups, asked
        As for `promises.promise`.

    Returns
    -------
    Decisive or None
        None where too few others are left.
    """
    numbers = group_numbers(np.asarray(groups, str))
    count = int(numbers.max(initial=-1)) + 1
    above = most_above(count, asked.rate, asked.rule)
    left, first = np.ones(len(scores), bool), None
    for others in range(count - 1, count - 1 - min(MOST_UNITS, int(max(above, 0)) + 1), -1):
        if others < FEWEST_LEFT or most_above(others, asked.rate, asked.rule) < 0 <= above:
            break  # too few are left, or too few for the rule
        left &= numbers != _highest(scores, numbers, left, asked)
        found = _without(scores, numbers, left, asked)
        if found.odd:
            return found
        first = first or found
    return first


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
        Contents of ``without_odd.json``; None where the threshold's images train nothing.

    Returns
    -------
    dict or None
        ``names`` of the groups, or paths; ``images``; ``odd``; ``median_score`` of them; ``paths``
        and ``scores`` of the `SHOWN` highest; ``threshold``, ``found_rate`` and
        ``false_alarm_rate`` without them; ``fitted_without``: the same three of a detector that
        was fitted without them, None where there is none. None where nothing is worth telling.
    """
    found = decisive(good.scores, good.groups, asked)
    if found is None or found.stretch < TELLING:
        return None
    own = found.rows[np.argsort(-good.scores[found.rows], kind="stable")]
    named = [str(good.groups[row]) or good.paths[row] for row in own]
    fitted_without = None
    if without and set(without["left_out"]) == {good.paths[row] for row in own}:
        scores = np.array(without["held_out_scores"])
        threshold = promise(scores, without["groups"], asked)["threshold"]
        again = test._replace(scores=np.array(without["test_scores"]))
        fitted_without = _judged(again, threshold)
    return {
        "names": list(dict.fromkeys(named)),
        "images": len(own),
        "odd": found.odd,
        "median_score": float(np.median(good.scores[own])),
        "paths": [good.paths[row] for row in own[:SHOWN]],
        "scores": good.scores[own[:SHOWN]].tolist(),
        **_judged(test, found.threshold),
        "fitted_without": fitted_without,
    }


def _judged(test: Scores, threshold: float | None) -> dict[str, float | None]:
    figures = judged(test, threshold)
    rates = {name: figures[name] for name in ("found_rate", "false_alarm_rate")}
    return {"threshold": threshold} | rates


def _without(scores: np.ndarray, numbers: np.ndarray, left: np.ndarray, asked: Asked) -> Decisive:
    """What those that are not left do to the threshold."""
    threshold = lowest_threshold(scores, numbers, asked)[0]
    without = _threshold(scores, numbers, left, asked)
    middle = np.median(scores[left])
    stretch = (threshold - middle) / max(without - middle, np.finfo(float).tiny)
    return Decisive(np.flatnonzero(~left), without, float(stretch))


def _highest(scores: np.ndarray, numbers: np.ndarray, left: np.ndarray, asked: Asked) -> int:
    """The group without which the threshold of those that are left is lowest."""
    rows = np.flatnonzero(left)
    in_order = numbers[rows[np.argsort(-scores[rows], kind="stable")]]
    return min(
        list(dict.fromkeys(in_order.tolist()))[:CANDIDATES],
        key=lambda number: _threshold(scores, numbers, left & (numbers != number), asked),
    )


def _threshold(scores: np.ndarray, numbers: np.ndarray, left: np.ndarray, asked: Asked) -> float:
    renumbered = np.unique(numbers[left], return_inverse=True)[1]
    return lowest_threshold(scores[left], renumbered, asked)[0]
