"""Figures of a point of a study with their intervals, from what a threshold called defective."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import (
    bootstrap_replicates,
    bootstrap_variance,
    group_numbers,
    independent_images,
)
from defectbench.evaluation.image_metrics import image_auroc, rank_errors
from defectbench.evaluation.intervals import auroc_interval
from defectbench.evaluation.rates import Interval, effective_size, rate_interval
from defectbench.studies.draws import draws_variance, least_rate_variance
from defectbench.studies.results import FIGURES, Level, Ranking
from defectbench.studies.threshold_error import found_within, widened
from defectbench.studies.verdicts import Verdict


def level(
    varied: Mapping[str, Any],
    images: float,
    verdicts: Sequence[Verdict],
    seed: int,
    share: float = 0.0,
) -> Level:
    """A point: the mean of each figure over the repeats, with its interval.

    The interval holds the figure that detectors of other draws have on other test images, on
    average: the variance of a mean is that of the test images (the bootstrap's for AUROC, the
    binomial one for rates; the mean over the repeats, which share test images, so that averaging
    takes nothing from it) plus `draws.draws_variance`, of false alarms at least
    `draws.least_rate_variance`. Of a single draw the second is unknown:
    the interval is then that of this one detector.

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
    share
        Of the images that there are, how large a part a draw takes.
    """
    repeats = [_figures(each) for each in verdicts]
    values = {name: [repeat[name] for repeat in repeats] for name in FIGURES}
    ranking = _ranking(verdicts, seed)
    return {
        **varied,
        "images": float(images),
        "share": share,
        **{name: float(np.mean(values[name])) for name in FIGURES},
        "intervals": {
            "image_auroc": auroc_limits(values["image_auroc"], ranking, share),
            "false_positive_rate": _rate_limits(verdicts, 0, share),
            "recall": _recall_limits(verdicts, share),
        },
        "ranking": ranking,
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


def auroc_limits(values: Sequence[float], ranking: Ranking, share: float) -> Interval:
    """Interval of the mean AUROC of draws that each take a share of the images."""
    variance = ranking["variance"] + draws_variance(values, share)
    return auroc_interval(float(np.mean(values)), variance, *ranking["units"])


def _ranking(verdicts: Sequence[Verdict], seed: int) -> Ranking:
    variances, units, parts = [], [], []
    for images, scores, *_ in verdicts:
        labels, groups, category = images
        replicates = bootstrap_replicates(labels, scores, groups, seed, category)
        variances.append(bootstrap_variance(replicates["image_auroc"], labels, groups))
        units.append([independent_images(groups[labels == label]) for label in (0, 1)])
        parts.append(auroc_parts(labels, scores, groups))
    same = all(
        np.array_equal(each.images.labels, labels) and np.array_equal(each.images.groups, groups)
        for each in verdicts
    )
    return {
        "variance": float(np.mean(variances)),
        "units": np.min(units, axis=0).tolist(),
        # a few digits will do for a correlation, and there are many of them in a file
        "parts": [float(f"{part:.4g}") for part in np.mean(parts, axis=0)] if same else [],
    }


def auroc_parts(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Each independent image's, or group's, part in the error of an AUROC.

    The products of the parts of two detectors sum to the covariance of their AUROCs on the same
    test images (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).

    Parameters
    ----------
    labels, scores, groups
        Of the test images, both classes among them.

    Returns
    -------
    ndarray
        float64, (n_groups,).
    """
    parts = -rank_errors(labels, scores)
    for own in (labels == 0, labels == 1):
        parts[own] = (parts[own] - parts[own].mean()) / own.sum()
    return np.bincount(group_numbers(groups), parts)


def _rate_limits(verdicts: Sequence[Verdict], label: int, share: float) -> Interval:
    """Interval of the mean share of images of a label that are called defective."""
    values, sizes = [], []
    for images, _, called, *_ in verdicts:
        own = images.labels == label
        values.append(float(called[own].mean()))
        sizes.append(effective_size(called[own], images.groups[own]))
    mean, of = float(np.mean(values)), min(sizes)
    if 0 < mean < 1:  # as many images as would have the draws' variance, too
        added = draws_variance(values, share)
        if label == 0 and (promised := verdicts[0].promised):
            added = max(added, least_rate_variance(promised, len(values), share))
        of = mean * (1 - mean) / (mean * (1 - mean) / of + added)
    return rate_interval(mean, of)


def _recall_limits(verdicts: Sequence[Verdict], share: float) -> Interval:
    """Interval of the mean share found, of several draws with the error of their thresholds.

    Draws from the same images may all lack, or all have, the few good images that would set
    another threshold: what they differ by does not tell.
    """
    limits = _rate_limits(verdicts, 1, share)
    if len(verdicts) < 2 or any(each.promised is None for each in verdicts):
        return limits
    value = np.mean([each.called[each.images.labels == 1].mean() for each in verdicts])
    least, most = np.mean([found_within(each) for each in verdicts], axis=0)
    return widened(float(value), limits, (float(least), float(most)))
