"""What a threshold will do: the share of defects it finds, of good parts it rejects, the cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from defectbench.evaluation.image_metrics import confusion_at
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate

CONFIDENCE = 0.95

Interval = tuple[float, float]


def rate_interval(hits: int, of: int) -> Interval:
    """Exact 95 % interval of a rate (Clopper and Pearson, Biometrika 26, 1934).

    Parameters
    ----------
    hits
        How often it happened.
    of
        Among how many, at least 1.
    """
    tail = (1 - CONFIDENCE) / 2
    low = stats.beta.ppf(tail, hits, of - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, of - hits) if hits < of else 1.0
    return float(low), float(high)


def images_needed(rate: float) -> int | None:
    """Fewest held-out good images that can carry a claimed false-positive rate.

    With none of n above the threshold, the rate is below ``1 - 0.05^(1/n)`` with 95 % confidence:
    59 images for 5 %, 299 for 1 %. None for a rate of 0, which no number can carry.
    """
    if rate <= 0:
        return None
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate)) if rate < 1 else 1


def operating_point(
    labels: np.ndarray, scores: np.ndarray, held_out: np.ndarray, rate: float
) -> dict[str, Any]:
    """A threshold set without labels for an asked false-positive rate, and what it does.

    Parameters
    ----------
    labels, scores
        Of the test images, (n_images,).
    held_out
        Scores of defect-free images that the scorer was not fitted on, (n_held_out,).
    rate
        The share of good parts that may be called defective.

    Returns
    -------
    dict
        ``asked``, ``threshold`` (None without held-out images), ``held_out_images``,
        ``images_needed`` (see the function of this name), and the figures of `judged`.
    """
    threshold = threshold_at_false_positive_rate(held_out, rate) if len(held_out) else None
    return {
        "asked": rate,
        "threshold": threshold,
        "held_out_images": len(held_out),
        "images_needed": images_needed(rate),
        **judged(labels, scores, threshold),
    }


def judged(labels: np.ndarray, scores: np.ndarray, threshold: float | None) -> dict[str, Any]:
    """Counts and rates of the test images at a threshold, with exact 95 % intervals.

    Returns
    -------
    dict
        ``found``, ``escapes``, ``false_alarms``, ``passed``: counts; ``found_rate`` among the
        defective images, ``escape_rate`` = 1 - ``found_rate``, ``false_alarm_rate`` among the
        good ones; and ``…_interval`` of each rate. None where there is no threshold or no image
        of the class.
    """
    figures: dict[str, Any] = dict.fromkeys(("found", "escapes", "false_alarms", "passed"))
    rates = ("found_rate", "escape_rate", "false_alarm_rate")
    figures |= dict.fromkeys(name for rate in rates for name in (rate, f"{rate}_interval"))
    if threshold is None:
        return figures
    found, false_alarms, escapes, passed = confusion_at(labels, scores, threshold)
    figures |= {
        "found": found,
        "escapes": escapes,
        "false_alarms": false_alarms,
        "passed": passed,
    }
    for name, hits, of in (
        ("found_rate", found, found + escapes),
        ("escape_rate", escapes, found + escapes),
        ("false_alarm_rate", false_alarms, false_alarms + passed),
    ):
        if of:
            figures |= {name: hits / of, f"{name}_interval": rate_interval(hits, of)}
    return figures


def operating_points(
    labels: np.ndarray, scores: np.ndarray, held_out: np.ndarray, rates: Sequence[float]
) -> list[dict[str, Any]]:
    """`operating_point` of every asked rate, in ascending order, each once."""
    return [operating_point(labels, scores, held_out, rate) for rate in sorted(set(rates))]


def cost_point(
    labels: np.ndarray, scores: np.ndarray, held_out: np.ndarray, costs: Mapping[str, float]
) -> dict[str, Any] | None:
    """The threshold of the smallest expected cost, and what it does.

    False alarms are expected from the held-out good images, escapes from the defective *test*
    images, for there are no others: like an oracle, this threshold has seen what it is judged on.

    Parameters
    ----------
    labels, scores, held_out
        As for `operating_point`.
    costs
        ``escape`` and ``false_alarm``: cost of one, in any unit. ``defective_share``: the share
        of the parts that are defective, 0 to 1.

    Returns
    -------
    dict or None
        ``threshold``, ``cost_per_1000`` parts, and the figures of `judged`. Of several cheapest
        thresholds the highest. None unless there are held-out and defective images.
    """
    defective = np.sort(scores[labels == 1])
    good = np.sort(held_out)
    if not len(defective) or not len(good):
        return None
    candidates = np.unique(np.concatenate([defective, np.nextafter(good, np.inf)]))
    candidates = np.append(candidates, np.nextafter(candidates[-1], np.inf))
    escape_rates = np.searchsorted(defective, candidates, "left") / len(defective)
    alarm_rates = 1 - np.searchsorted(good, candidates, "left") / len(good)
    share = costs["defective_share"]
    expected = 1000 * (
        share * costs["escape"] * escape_rates + (1 - share) * costs["false_alarm"] * alarm_rates
    )
    cheapest = int(np.flatnonzero(expected == expected.min())[-1])
    threshold = float(candidates[cheapest])
    return {
        "threshold": threshold,
        "cost_per_1000": float(expected[cheapest]),
        **judged(labels, scores, threshold),
    }
