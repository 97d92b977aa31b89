"""What the chosen detector does to images that did not choose it.

The best of many detectors on some images looks better on these images than it is. So groups of
images are left out in turn, the choice is made from the others, and the detector that these choose
is judged by its own threshold on those that were left out.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.at_rate import group_weights
from defectbench.evaluation.bootstrap import group_numbers, independent_images
from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import ESCAPES, Merits, ranked
from defectbench.evaluation.held_out import folds
from defectbench.evaluation.image_metrics import image_auroc
from defectbench.evaluation.operating_points import judged, mean_point, together
from defectbench.evaluation.promises import AVERAGE, most_above
from defectbench.evaluation.thresholds import just_above
from defectbench.records import Scores

FOLDS = 10


Take = Callable[[Mapping[str, Merits]], str]
"""Takes one of some detectors by what they are ranked by."""

MeritOf = Callable[[CellResults, Scores], float | None]
"""What a detector is ranked by, from some of its test images."""


def first_that_keeps(merits: Mapping[str, Merits]) -> str:
    """The first in rank that breaks no promise, else the first."""
    order = ranked(merits)
    return next((name for name in order if not merits[name].breaks), order[0])


def nested_figures(
    cells: Sequence[CellResults],
    by: str,
    rate: float,
    seed: int,
    take: Take = first_that_keeps,
    cost: Callable[[CellResults], float] = lambda cell: cell.cost["model_bytes"],
    merit_of: MeritOf | None = None,
    among: Mapping[int, Collection[str]] | None = None,
) -> dict[str, Any] | None:
    """Escapes and false alarms of the choice, from images that did not make it.

    Parameters
    ----------
    cells
        Of the detectors that are compared, on every category that they are compared on.
    by
        `choice.ESCAPES` or `choice.AUROC`.
    rate
        Asked for.
    seed
        Of the folds.
    take
        How one is chosen.
    cost
        Of a cell; `choice.Merits` has the sum.
    merit_of
        `merit` of the test images, if not given.
    among
        By fold, the detectors to choose from without it; all of them, if not given.

    Returns
    -------
    dict or None
        The figures of `operating_points.together` of all categories, and ``chosen``: how often each
        detector was. None where there is nothing to choose, or a threshold is missing.
    """
    found: dict[str, dict[str, CellResults]] = {}
    for cell in cells:
        found.setdefault(cell.detector, {})[cell.category] = cell
    if len(found) < 2 or any(cell.threshold is None for cell in cells):
        return None
    merit_of = merit_of or (lambda cell, left: merit(left, by, rate))
    parts = {name: test_folds(cell.test, seed) for name, cell in next(iter(found.values())).items()}
    chosen: dict[int, str] = {}
    for number in sorted(set(np.concatenate(list(parts.values())).tolist())):
        out = {name: fold == number for name, fold in parts.items()}
        kept = {
            detector: _without(own, out, merit_of, cost)
            for detector, own in found.items()
            if among is None or detector in among[number]
        }
        if None in kept.values():
            return None
        chosen[number] = take(kept)
    points = [
        _point({number: found[best][name] for number, best in chosen.items()}, fold)
        for name, fold in parts.items()
    ]
    return together(points) | {"chosen": dict(Counter(chosen.values()))}


def _point(taken: Mapping[int, CellResults], fold: np.ndarray) -> Mapping[str, Any]:
    """What was done to the images of a category: each judged by the detector its fold took.

    Of several seeds the mean.
    """
    points = []
    for turn in range(max(len(cell.seeds) for cell in taken.values())):
        called = np.zeros(len(fold))
        for number, cell in taken.items():
            own, out = cell.seeds[turn % len(cell.seeds)], fold == number
            called[out] = own.test.scores[out] >= own.threshold
        points.append(judged(next(iter(taken.values())).test._replace(scores=called), 0.5))
    return mean_point(points)


def test_folds(test: Scores, seed: int) -> np.ndarray:
    """Fold of each test image; groups stay together, and each class is spread over all folds."""
    fold = np.zeros(len(test.labels), int)
    numbers = group_numbers(test.groups)
    defective = np.unique(numbers[test.labels == 1])
    for own in (np.isin(numbers, defective), ~np.isin(numbers, defective)):
        rows = np.flatnonzero(own)
        if len(rows):
            names = numbers[rows].astype(str).tolist()
            for number, members in enumerate(folds(names, FOLDS, seed)):
                fold[rows[members]] = number
    return fold


def _without(
    own: Mapping[str, CellResults],
    out: Mapping[str, np.ndarray],
    merit_of: MeritOf,
    cost: Callable[[CellResults], float],
) -> Merits | None:
    """What a detector is ranked by on the images that are left; None where it cannot be.

    Means over categories and seeds; a promise that is broken once is broken.
    """
    merits, aurocs, breaks, found = [], [], [], []
    for name, cell in own.items():
        for each in cell.seeds:
            left = _left(each.test, ~out[name])
            merits.append(merit_of(each, left))
            aurocs.append(image_auroc(left.labels, left.scores))
            breaks.append(against_promise(left, each.metrics["promise"]) == "above")
            found.append(found_above(left, each.threshold))
    if None in merits or None in aurocs:
        return None
    costs = sum(map(cost, own.values()))
    left_merit, auroc, share = (float(np.mean(each)) for each in (merits, aurocs, found))
    return Merits(left_merit, auroc, costs, any(breaks), found=share)


def _left(test: Scores, kept: np.ndarray) -> Scores:
    paths = [path for path, stays in zip(test.paths, kept, strict=True) if stays]
    return Scores(paths, *(column[kept] for column in test[1:]))


def merit(test: Scores, by: str, rate: float) -> float | None:
    """AUROC, or the share of the defects that is found where the good images set the threshold.

    Of fewer images than the rate takes, which a fold may leave, the highest score sets it. None
    without images of both kinds.
    """
    if by != ESCAPES:
        return image_auroc(test.labels, test.scores)
    good, defective = test.labels == 0, test.labels == 1
    if not good.any() or not defective.any():
        return None
    most = max(most_above(independent_images(test.groups[good]), rate, AVERAGE), 0.0)
    threshold, _ = just_above(test.scores[good], group_weights(test)[good], most)
    return found_above(test, threshold)


def found_above(test: Scores, threshold: float) -> float:
    """Share of the defective images whose score reaches a threshold; 1 without any."""
    defective = test.scores[test.labels == 1]
    return float((defective >= threshold).mean()) if len(defective) else 1.0
