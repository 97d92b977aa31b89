"""Thresholds and what they let expect, as a detector carries them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.promises import Asked, Promise, most_above, promise

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
"""False-positive rates of a detector's table of thresholds."""


def asked_for(promised: Promise) -> Asked:
    """What a threshold was set for."""
    return Asked(promised["asked"], promised["rule"], promised["folds"])


def threshold_table(
    scores: np.ndarray, groups: Sequence[str] | np.ndarray, promised: Promise
) -> list[dict[str, Any]]:
    """Thresholds for the asked false-positive rate and for usual ones that the images support.

    Parameters
    ----------
    scores, groups
        Of good images that the detector was not fitted on; as for `promises.promise`.
    promised
        The honest threshold, and what it lets expect.

    Returns
    -------
    list of dict
        From `expectation`, by falling ``false_positive_rate``.
    """
    found = {promised["asked"]: promised}
    for rate in set(RATES) - found.keys():
        if most_above(promised["groups"], rate, promised["rule"]) >= 0:
            asked = asked_for(promised)._replace(rate=rate)
            found[rate] = promise(scores, groups, asked)
    return [expectation(found[rate]) for rate in sorted(found, reverse=True)]


def expectation(promised: Promise) -> dict[str, Any]:
    """A threshold and what it lets expect, for people who have nothing but the detector.

    Returns
    -------
    dict
        ``value``; ``false_positive_rate`` that was asked for; ``rule`` that set it for that rate;
        ``estimate``: why the rule does not hold, empty if it does; ``expected_rate`` of new good
        images, on average, or ``at_most``, and ``rate_range`` of this one threshold in 95 of 100
        cases;
        ``images``, ``groups``: held-out good images, and how many of them are independent.
    """
    names = {
        "value": "threshold",
        "false_positive_rate": "asked",
        "expected_rate": "expected",
        "rate_range": "range",
    }
    same = ("rule", "estimate", "at_most", "images", "groups")
    return {new: promised[old] for new, old in (names | dict(zip(same, same, strict=True))).items()}
