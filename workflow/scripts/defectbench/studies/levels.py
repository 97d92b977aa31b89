"""Figures of a point of a study with their intervals, from what a threshold called defective."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.bootstrap import (
    bootstrap_replicates,
    bootstrap_variance,
    independent_images,
)
from defectbench.evaluation.image_metrics import image_auroc
from defectbench.evaluation.intervals import auroc_interval
from defectbench.evaluation.rates import Interval, effective_size, rate_interval
from defectbench.studies.results import FIGURES, Level


class Judged(NamedTuple):
    """Test images of one category that judge a detector.

    Attributes
    ----------
    labels, groups
        (n_images,): 1 for defective; str, '' for a group of its own.
    category
        Its name, on which the draws of the bootstrap depend.
    """

    labels: np.ndarray
    groups: np.ndarray
    category: str


class Verdict(NamedTuple):
    """What a detector with a threshold says of test images.

    Attributes
    ----------
    images
        The test images.
    scores
        float64, (n_images,).
    called
        (n_images,): whether each is called defective; a share where several thresholds say.
    threshold
        The threshold, or the mean of several.
    """

    images: Judged
    scores: np.ndarray
    called: np.ndarray
    threshold: float


def level(
    varied: Mapping[str, Any], images: float, verdicts: Sequence[Verdict], seed: int
) -> Level:
    """A point: the mean of each figure over the repeats, with its interval.

    The variance of a mean is the mean over the repeats of the test set's variance, plus the
    variance of the mean of the repeats. Repeats share test images, so averaging takes nothing
    from the first; it is the bootstrap's for AUROC and the binomial one for rates.

    Parameters
    ----------
    varied
        The point's keys beside the figures, as in `Level`.
    images
        Number that the point states.
    verdicts
        Of the repeats.
    seed
        Of the bootstrap.
    """
    repeats = [_figures(each) for each in verdicts]
    values = {name: [repeat[name] for repeat in repeats] for name in FIGURES}
    return {
        **varied,
        "images": float(images),
        **{name: float(np.mean(values[name])) for name in FIGURES},
        "intervals": {
            "image_auroc": _auroc_interval(values["image_auroc"], verdicts, seed),
            "false_positive_rate": _rate_interval(values["false_positive_rate"], verdicts, 0),
            "recall": _rate_interval(values["recall"], verdicts, 1),
        },
        "repeats": repeats,
        "reason": "",
    }


def _figures(verdict: Verdict) -> dict[str, float]:
    labels = verdict.images.labels
    return {
        "image_auroc": image_auroc(labels, verdict.scores),
        "threshold": verdict.threshold,
        "false_positive_rate": float(verdict.called[labels == 0].mean()),
        "recall": float(verdict.called[labels == 1].mean()),
    }


def _auroc_interval(values: Sequence[float], verdicts: Sequence[Verdict], seed: int) -> Interval:
    variances, units = [], []
    for images, scores, *_ in verdicts:
        labels, groups, category = images
        replicates = bootstrap_replicates(labels, scores, groups, seed, category)
        variances.append(bootstrap_variance(replicates["image_auroc"], labels, groups))
        units.append([independent_images(groups[labels == label]) for label in (0, 1)])
    variance = float(np.mean(variances)) + _variance_of_mean(values)
    return auroc_interval(float(np.mean(values)), variance, *map(int, np.min(units, axis=0)))


def _rate_interval(values: Sequence[float], verdicts: Sequence[Verdict], label: int) -> Interval:
    """Interval of the mean share of images of a label that are called defective."""
    sizes = []
    for images, _, called, _ in verdicts:
        own = images.labels == label
        sizes.append(effective_size(called[own], images.groups[own]))
    mean, of = float(np.mean(values)), min(sizes)
    if len(values) > 1 and 0 < mean < 1:  # as many images as would have the repeats' variance, too
        of = mean * (1 - mean) / (mean * (1 - mean) / of + _variance_of_mean(values))
    return rate_interval(mean, of)


def _variance_of_mean(values: Sequence[float]) -> float:
    """Variance of the mean of repeats; 0 of a single one."""
    return float(np.var(values, ddof=1) / len(values)) if len(values) > 1 else 0.0
