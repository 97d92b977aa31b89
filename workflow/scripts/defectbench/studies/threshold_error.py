"""What the share found owes to the threshold: another set of good images sets another one."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.promises import TOLERANCE, largest_of_groups
from defectbench.evaluation.rates import Interval, effective_size, rate_interval
from defectbench.studies.verdicts import Verdict


def threshold_limits(
    scores: np.ndarray, groups: Sequence[str] | np.ndarray, rate: float, rule: str
) -> Interval:
    """Interval of the threshold that a share of all good images reaches.

    A threshold is in it where that share is in the interval of the share that reaches it of these
    images; no shape of the scores is supposed. Where there are too few of them to see how far up
    the scores of so few images lie, the upper end is infinite.

    Parameters
    ----------
    scores
        float64, (n_images,), of good images.
    groups
        Of the images; '' is a group of its own.
    rate
        The share.
    rule
        By the tolerance it is a share of groups, of which no image may reach the threshold.
    """
    groups = np.asarray(groups, str)
    if rule == TOLERANCE:
        scores = largest_of_groups(scores, group_numbers(groups))
        groups = np.full(len(scores), "")
    ordered = np.unique(scores)

    def limits(called: np.ndarray) -> Interval:
        return rate_interval(float(called.mean()), effective_size(called, groups))

    low = bisect_left(ordered, True, key=lambda at: limits(scores >= at)[0] <= rate)
    high = bisect_left(ordered, True, key=lambda at: limits(scores > at)[1] < rate)
    ends = np.append(ordered, np.inf)
    return float(ends[low]), float(ends[high])


def found_within(verdict: Verdict) -> Interval:
    """Shares found at the ends of the interval of a threshold that promises as much; ascending."""
    images, scores, promised = verdict.images, verdict.scores, verdict.promised
    good = images.labels == 0
    ends = threshold_limits(
        scores[good], images.groups[good], promised["expected"], promised["rule"]
    )
    most, least = (float((scores[~good] >= at).mean()) for at in ends)
    return least, most


def widened(value: float, limits: Interval, reached: Interval) -> Interval:
    """Interval of a share found, by the other errors and the threshold's.

    Both are independent: distances to the limits are squared and added, as by
    `intervals.monotone_interval`.

    Parameters
    ----------
    value, limits
        The share, and its interval but for the threshold's error.
    reached
        From `found_within`.
    """
    below = ((value - limits[0]) ** 2 + max(value - reached[0], 0) ** 2) ** 0.5
    above = ((limits[1] - value) ** 2 + max(reached[1] - value, 0) ** 2) ** 0.5
    return max(value - below, 0.0), min(value + above, 1.0)
