"""Differences in AUROC between two points that the same test images judge."""

from typing import NamedTuple

import numpy as np

from defectbench.evaluation.intervals import difference_interval
from defectbench.studies.draws import draws_covariance
from defectbench.studies.levels import auroc_limits
from defectbench.studies.results import Level


class Difference(NamedTuple):
    """A difference in AUROC, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (100 * each for each in self)
        return f"{value:.1f} points ({low:.1f} to {high:.1f})"


def difference(first: Level, second: Level, share: float) -> Difference:
    """AUROC of the first point minus that of the second.

    Test images err the same way at both, and so do draws of the same training images: both enter
    as the correlation of the two figures.

    Parameters
    ----------
    first, second
        With the same test images; with the same draws, or one of them with a single draw.
    share
        Of the images that there are, how large a part a draw takes; 0 where the other point takes
        all of these images, so that only the choice among them can err.
    """
    points = first, second
    values = [[repeat["image_auroc"] for repeat in point["repeats"]] for point in points]
    parts = [np.array(point["ranking"]["parts"]) for point in points]

    def covariance(one: int, other: int) -> float:
        shared = float(parts[one] @ parts[other])
        if len(values[one]) != len(values[other]):
            return shared
        return shared + draws_covariance(values[one], values[other], share)

    variances = covariance(0, 0) * covariance(1, 1)
    # of a perfect ranking, no image tells which way it errs
    correlation = covariance(0, 1) / variances**0.5 if variances > 0 else 0.0
    limits = [
        auroc_limits(own, point["ranking"], share)
        for own, point in zip(values, points, strict=True)
    ]
    means = float(np.mean(values[0])), float(np.mean(values[1]))
    ends = difference_interval(means, tuple(limits), float(np.clip(correlation, -1, 1)))
    return Difference(means[0] - means[1], *ends)
