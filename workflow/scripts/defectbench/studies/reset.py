"""What a threshold set anew, on good test images, is worth on the others."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.held_out import folds
from defectbench.evaluation.promises import TOLERANCE, Promise, largest_of_groups, promise
from defectbench.evaluation.rates import Interval, effective_size, rate_interval
from defectbench.studies.levels import Judged, Verdict, level
from defectbench.studies.results import Level, Settings

HALVES = 2


def reset_level(
    varied: Mapping[str, Any], images: Judged, scores: np.ndarray, settings: Settings
) -> Level:
    """A point whose threshold is set on good images of the same kind.

    Its intervals are those of thresholds that are set on as many other good images: what is found
    depends on them more than on the defective images.

    Parameters
    ----------
    varied
        The point's keys beside the figures, as in `Level`.
    images, scores
        The test images, at least `HALVES` good ones among them; float64, (n_images,).
    settings
        Rate and rule of the threshold; seed.
    """
    verdict, promises = _set_anew(images, scores, settings)
    found = level(varied, len(scores), [verdict], settings.seed)
    found["repeats"][0]["set_on"] = min(each["groups"] for each in promises)
    good = images.labels == 0
    rate = float(np.mean([each["expected"] for each in promises]))
    thresholds = threshold_limits(scores[good], images.groups[good], rate, settings.rule)
    found["intervals"]["recall"] = _recall_limits(found, scores[~good], thresholds)
    return found


def _set_anew(
    images: Judged, scores: np.ndarray, settings: Settings
) -> tuple[Verdict, list[Promise]]:
    """What thresholds of both halves say, and what they promise.

    They have to be good images that the detector was not fitted on and that do not judge it: one
    half of the good test images sets the threshold for the other half, and the other way round;
    groups are whole. A defective image counts 0, ½ or 1, by how many of the two thresholds it
    reaches; the threshold stated is their mean.
    """
    good, defective = np.flatnonzero(images.labels == 0), images.labels == 1
    called = np.zeros(len(scores))
    promises = []
    for judged in folds(images.groups[good].tolist(), HALVES, settings.seed):
        others = np.delete(good, judged)
        promises.append(promise(scores[others], images.groups[others], settings.asked))
        at = promises[-1]["threshold"]
        called[good[judged]] = scores[good[judged]] >= at
        called[defective] += (scores[defective] >= at) / HALVES
    threshold = float(np.mean([each["threshold"] for each in promises]))
    return Verdict(images, scores, called, threshold), promises


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


def _recall_limits(found: Level, defective: np.ndarray, thresholds: Interval) -> Interval:
    """Interval of the share found, by the defective images' error and the threshold's.

    Both are independent: distances to the limits are squared and added, as by
    `intervals.monotone_interval`.
    """
    value, (low, high) = found["recall"], found["intervals"]["recall"]
    most, least = (float((defective >= at).mean()) for at in thresholds)
    below = ((value - low) ** 2 + max(value - least, 0) ** 2) ** 0.5
    above = ((high - value) ** 2 + max(most - value, 0) ** 2) ** 0.5
    return max(value - below, 0.0), min(value + above, 1.0)
