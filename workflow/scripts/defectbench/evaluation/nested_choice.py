"""What the chosen detector does to images that did not choose it.

The best of many detectors on some images looks better on these images than it is. So groups of
images are left out in turn, the choice is made from the others, and the detector that these choose
is judged by its own threshold on those that were left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.at_rate import group_weights
from defectbench.evaluation.bootstrap import group_numbers, independent_images
from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.choice import ESCAPES, Merits, ranked
from defectbench.evaluation.held_out import folds
from defectbench.evaluation.image_metrics import image_auroc
from defectbench.evaluation.operating_points import judged, together
from defectbench.evaluation.promises import AVERAGE, most_above
from defectbench.evaluation.thresholds import just_above
from defectbench.records import Scores

FOLDS = 10


def nested_figures(
    cells: Sequence[CellResults], by: str, rate: float, seed: int
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

    Returns
    -------
    dict or None
        The figures of `operating_points.together` of all categories, and ``chosen``: how often each
        detector was. None where there is nothing to choose, or a threshold is missing.
    """
    found: dict[str, dict[str, CellResults]] = {}
    for cell in cells:
        found.setdefault(cell.detector, {})[cell.category] = cell
    categories = list(dict.fromkeys(cell.category for cell in cells))
    if len(found) < 2 or any(cell.threshold is None for cell in cells):
        return None
    parts = {name: _folds(next(iter(found.values()))[name].test, seed) for name in categories}
    called = {name: np.zeros(len(cell.test.labels)) for name, cell in _first(found).items()}
    chosen: dict[str, int] = {}
    for number in range(FOLDS):
        out = {name: parts[name] == number for name in categories}
        if not any(each.any() for each in out.values()):
            continue
        kept = {
            detector: [_without(own[name], out[name], by, rate) for name in categories]
            for detector, own in found.items()
        }
        best = _best(kept)
        if best is None:
            return None
        chosen[best] = chosen.get(best, 0) + 1
        for name, own in found[best].items():
            reached = own.test.scores >= own.threshold
            called[name][out[name]] = reached[out[name]]
    points = [
        judged(cell.test._replace(scores=called[name]), 0.5) for name, cell in _first(found).items()
    ]
    return together(points) | {"chosen": chosen}


def _first(found: Mapping[str, Mapping[str, CellResults]]) -> Mapping[str, CellResults]:
    return next(iter(found.values()))


def _folds(test: Scores, seed: int) -> np.ndarray:
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


def _without(cell: CellResults, out: np.ndarray, by: str, rate: float) -> Merits | None:
    """What a detector is ranked by on the images that are left; None where it cannot be."""
    left = Scores(
        [path for path, gone in zip(cell.test.paths, out, strict=True) if not gone],
        *(column[~out] for column in cell.test[1:]),
    )
    auroc = image_auroc(left.labels, left.scores)
    merit = auroc if by != ESCAPES else _found_at_rate(left, rate)
    if merit is None:
        return None
    breaks = against_promise(left, cell.metrics["promise"]) == "above"
    return Merits(merit, auroc, cell.cost["model_bytes"], breaks)


def _found_at_rate(test: Scores, rate: float) -> float | None:
    """Share of the defects that is found where the good images set the threshold.

    Of fewer images than the rate takes, which a fold may leave, the highest score sets it.
    """
    good, defective = test.labels == 0, test.labels == 1
    if not good.any() or not defective.any():
        return None
    most = max(most_above(independent_images(test.groups[good]), rate, AVERAGE), 0.0)
    threshold, _ = just_above(test.scores[good], group_weights(test)[good], most)
    return float((test.scores[defective] >= threshold).mean())


def _best(kept: Mapping[str, Sequence[Merits | None]]) -> str | None:
    """The detector of the highest mean merit that breaks its promise nowhere, if any does not."""
    means = {}
    for name, merits in kept.items():
        if any(each is None for each in merits):
            return None
        aurocs = [each.auroc for each in merits]
        means[name] = Merits(
            float(np.mean([each.merit for each in merits])),
            None if None in aurocs else float(np.mean(aurocs)),
            sum(each.cost for each in merits),
            any(each.breaks for each in merits),
        )
    order = ranked(means)
    return next((name for name in order if not means[name].breaks), order[0])
