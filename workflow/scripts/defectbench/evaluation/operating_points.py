"""What a threshold does: how many defects it finds, how many good parts it rejects, its cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.image_metrics import confusion_at
from defectbench.evaluation.intervals import mean_interval
from defectbench.evaluation.promises import RULES, Asked, Promise, promise
from defectbench.evaluation.rates import share_interval
from defectbench.records import HeldOutScores, Scores

RATES = ("found_rate", "escape_rate", "false_alarm_rate")
COUNTS = ("found", "escapes", "false_alarms", "passed")
FIGURES = (*COUNTS, *RATES, *(f"{name}_interval" for name in RATES))


def operating_point(test: Scores, promised: Promise) -> dict[str, Any]:
    """What a threshold does that was set without labels.

    Parameters
    ----------
    test
        Scores of a detector on a category.
    promised
        The threshold, and what it lets expect.

    Returns
    -------
    dict
        The items of `promised`, ``against_promise`` (see `cautions.against_promise`), and the
        figures of `judged`.
    """
    against = against_promise(test, promised)
    return {**promised, "against_promise": against, **judged(test, promised["threshold"])}


def operating_points(
    test: Scores, good: HeldOutScores, rates: Sequence[float], folds: str
) -> list[dict[str, Any]]:
    """`operating_point` of every asked rate, in ascending order, by both rules.

    Parameters
    ----------
    test, good
        Scores of a detector on a category: of test images, and of those that set thresholds.
    rates
        Asked false-positive rates.
    folds
        How the latter were held out: see `promises.Asked`.
    """
    return [
        operating_point(test, promise(good.scores, good.groups, Asked(rate, rule, folds)))
        for rate in sorted(set(rates))
        for rule in RULES
    ]


def judged(test: Scores, threshold: float | None) -> dict[str, Any]:
    """Counts and rates of the test images at a threshold, with 95 % intervals.

    Returns
    -------
    dict
        ``found``, ``escapes``, ``false_alarms``, ``passed``: counts; ``found_rate`` among the
        defective images, ``escape_rate`` = 1 - ``found_rate``, ``false_alarm_rate`` among the
        good ones; ``…_interval`` of each rate. None where there is no threshold or no image of
        the class.
    """
    figures: dict[str, Any] = dict.fromkeys(FIGURES)
    if threshold is None:
        return figures
    confusion = confusion_at(test.labels, test.scores, threshold)
    figures |= zip(("found", "false_alarms", "escapes", "passed"), confusion, strict=True)
    called = test.scores >= threshold
    for name, label, hits in zip(RATES, (1, 1, 0), (called, ~called, called), strict=True):
        own = test.labels == label
        if own.any():
            figures[name] = float(hits[own].mean())
            figures[f"{name}_interval"] = share_interval(hits[own], test.groups[own])
    return figures


def mean_point(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the thresholds of several seeds do: the mean of counts, rates and limits.

    Parameters
    ----------
    points
        Of one detector, one for each seed, with the figures of `judged`.

    Returns
    -------
    dict
        All else, the threshold among it, is the first seed's; what speaks against one speaks
        against all.
    """
    first = points[0]
    if len(points) == 1:
        return dict(first)
    means = {
        name: None
        if any(point[name] is None for point in points)
        else np.mean([point[name] for point in points], axis=0).tolist()
        for name in FIGURES
    }
    against = [point["against_promise"] for point in points if point.get("against_promise")]
    return {**first, **means} | ({"against_promise": against[0]} if against else {})


def together(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Escapes and false alarms of several points, one per category, over all their images.

    Returns
    -------
    dict
        ``escape_rate`` and ``false_alarm_rate``, each with its ``…_interval``; None where no
        point has it.
    """
    figures: dict[str, Any] = {}
    for name, hits, misses in (
        ("escape_rate", "escapes", "found"),
        ("false_alarm_rate", "false_alarms", "passed"),
    ):
        known = [point for point in points if point[name] is not None]
        images = [point[hits] + point[misses] for point in known]
        rates, limits = ([point[key] for point in known] for key in (name, f"{name}_interval"))
        figures[name] = float(np.average(rates, weights=images)) if known else None
        figures[f"{name}_interval"] = mean_interval(rates, limits, images) if known else None
    return figures


def cost_point(
    test: Scores, good: HeldOutScores, costs: Mapping[str, float], defective_share: float
) -> dict[str, Any] | None:
    """The threshold of the smallest expected cost, and what it does.

    False alarms are expected from good images that train nothing, escapes from the defective *test*
    images, for there are no others: like an oracle, this threshold has seen what it is judged on.

    Parameters
    ----------
    test, good
        As for `operating_points`.
    costs
        ``escape`` and ``false_alarm``: cost of one, in any unit.
    defective_share
        Share of the parts that are defective, 0 to 1.

    Returns
    -------
    dict or None
        ``threshold``, ``cost_per_1000`` parts, and the figures of `judged`. Of several cheapest
        thresholds the highest. Shares of the defective images have no interval: they chose the
        threshold. None unless there are good and defective images.
    """
    defective = np.sort(test.scores[test.labels == 1])
    passing = np.sort(good.scores)
    if not len(defective) or not len(passing):
        return None
    # the cost changes only where the threshold passes a score: above that of a defective image
    # there is an escape more, just above that of a good image a false alarm less
    candidates = np.unique(np.concatenate([defective, np.nextafter(passing, np.inf)]))
    candidates = np.append(candidates, np.nextafter(candidates[-1], np.inf))
    escape_rates = np.searchsorted(defective, candidates, "left") / len(defective)
    above = len(passing) - np.searchsorted(passing, candidates, "left")
    alarm_rates = (above + 1) / (len(passing) + 1)  # as `promises.outlook` expects of new images
    of_escapes = defective_share * costs["escape"]
    of_alarms = (1 - defective_share) * costs["false_alarm"]
    expected = 1000 * (of_escapes * escape_rates + of_alarms * alarm_rates)
    cheapest = int(np.flatnonzero(expected == expected.min())[-1])
    threshold = float(candidates[cheapest])
    return {
        "threshold": threshold,
        "cost_per_1000": float(expected[cheapest]),
        **judged(test, threshold),
        "found_rate_interval": None,
        "escape_rate_interval": None,
    }
