"""What the share found owes to the threshold: another set of good images sets another one."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.promises import FEW, TOLERANCE, Promise, largest_of_groups
from defectbench.evaluation.rates import Interval, beta_quantile, share_interval
from defectbench.studies.verdicts import Verdict

PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles that stand for a distribution of rates, each for a fifth of it."""


def found_within(verdict: Verdict) -> Interval:
    """Mean share found, at least and at most, of thresholds that promise as much.

    Their rates have a known distribution, see `evaluation.promises`. At each rate the threshold
    lies within limits that the good test images set, and so does the share found. The mean is
    taken over the rates, for what rare high thresholds lose is not in the share found at the mean
    rate.
    """
    images, scores, promised = verdict.images, verdict.scores, verdict.promised
    good = images.labels == 0
    rates = [rate_limits(promised, place) for place in PLACES]
    ends = threshold_limits(
        scores[good], images.groups[good], rates, whole=_of_whole_groups(promised)
    )
    lowest, highest = np.transpose(ends)
    least, most = ((scores[~good, None] >= each).mean() for each in (highest, lowest))
    return float(least), float(most)


def rate_limits(promised: Promise, place: float) -> Interval:
    """A quantile of the rates of thresholds that promise as much, at least and at most.

    Images of a group share its weight: at most, they are all alike, and the group is one; at
    least, it is the rate of thresholds on as many images that have nothing in common.
    """
    above, count = promised["above"], promised["groups"]
    most = beta_quantile(above + 1, count - above, place)
    if _of_whole_groups(promised) or count == promised["images"]:
        return most, most
    above, count = above * promised["images"] / count, promised["images"]
    return beta_quantile(above + 1, count - above, place), most


def _of_whole_groups(promised: Promise) -> bool:
    """Whether the largest score of each group set the threshold: by the tolerance, if it could."""
    return promised["rule"] == TOLERANCE and promised["estimate"] != FEW


def threshold_limits(
    scores: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    rates: Sequence[Interval],
    *,
    whole: bool,
) -> list[Interval]:
    """Intervals of the thresholds that shares of all good images reach.

    A threshold is in it where the share is in the interval of the share that reaches it of these
    images; no shape of the scores is supposed. Where there are too few of them to see how far up
    the scores of so few images lie, the upper end is infinite.

    Parameters
    ----------
    scores
        float64, (n_images,), of good images.
    groups
        Of the images; '' is a group of its own.
    rates
        The shares, each at least and at most.
    whole
        Whether they are shares of groups, of which no image may reach the threshold.
    """
    groups = np.asarray(groups, str)
    if whole:
        scores = largest_of_groups(scores, group_numbers(groups))
        groups = np.full(len(scores), "")
    ordered = np.unique(scores)
    ends = np.append(ordered, np.inf)

    @cache  # each rate is looked for among the same thresholds
    def limits(place: int) -> Interval:
        called = scores >= ends[place]
        return share_interval(called, groups)

    places = range(len(ordered))
    found = []
    for least, most in rates:
        low = bisect_left(places, True, key=lambda at, most=most: limits(at)[0] <= most)
        high = bisect_left(places, True, key=lambda at, least=least: limits(at + 1)[1] < least)
        found.append((float(ends[low]), float(ends[high])))
    return found


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
