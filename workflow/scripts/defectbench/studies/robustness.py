"""What changed pictures do to a detector and a threshold that were fitted on clean ones."""

from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.held_out import folds
from defectbench.evaluation.image_metrics import average_precision, image_auroc
from defectbench.evaluation.intervals import confusion_intervals, ranking_intervals
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.studies.trial import Level, Settings, missing_level

CLEAN = "clean"
FROZEN, RESET = "frozen", "reset"
HALVES = 2


def frozen_level(
    varied: dict[str, Any],
    labels: np.ndarray,
    groups: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    settings: Settings,
    category: str,
) -> Level:
    """Figures of perturbed test images at the threshold of the clean held-out ones.

    Parameters
    ----------
    varied
        ``perturbation`` and ``level``.
    labels, groups, scores
        Of the test images.
    threshold
        The frozen one.
    settings
        Seed.
    category
        Its name, on which the draws of the bootstrap depend.
    """
    called = scores >= threshold
    return _level(
        varied | {"variant": FROZEN}, labels, groups, scores, called, threshold, settings, category
    )


def reset_level(
    varied: dict[str, Any],
    labels: np.ndarray,
    groups: np.ndarray,
    scores: np.ndarray,
    settings: Settings,
    category: str,
) -> Level:
    """The same with the remedy: a threshold set anew on perturbed good images.

    They have to be good images that the detector was not fitted on and that do not judge it: one
    half of the good test images sets the threshold for the other half, and the other way round;
    groups are whole. A defective image is called so by the share of the two thresholds that it
    reaches; the threshold stated is their mean.
    """
    varied = varied | {"variant": RESET}
    good = np.flatnonzero(labels == 0)
    if len(good) < HALVES:
        reason = "a single good test image: none is left to set the threshold on"
        return missing_level(varied, len(labels), reason)
    called = np.zeros(len(labels))
    thresholds = []
    halves = folds(groups[good].tolist(), HALVES, settings.seed)
    for judged in halves:
        others = np.setdiff1d(np.arange(len(good)), judged)
        at = threshold_at_false_positive_rate(scores[good[others]], settings.false_positive_rate)
        thresholds.append(at)
        called[good[judged]] = scores[good[judged]] >= at
        called[labels == 1] += (scores[labels == 1] >= at) / len(halves)
    return _level(
        varied,
        labels,
        groups,
        scores,
        called,
        float(np.mean(thresholds)),
        settings,
        category,
    )


def _level(
    varied: dict[str, Any],
    labels: np.ndarray,
    groups: np.ndarray,
    scores: np.ndarray,
    called: np.ndarray,
    threshold: float,
    settings: Settings,
    category: str,
) -> Level:
    replicates = bootstrap_replicates(labels, scores, groups, settings.seed, category)
    ranking = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
    }
    figures = {
        "image_auroc": ranking["image_auroc"],
        "false_positive_rate": float(called[labels == 0].mean()),
        "recall": float(called[labels == 1].mean()),
    }
    intervals = ranking_intervals(ranking, replicates, labels, groups)
    intervals |= confusion_intervals(labels, called, groups)
    return {
        **varied,
        "images": float(len(labels)),
        **figures,
        "intervals": {name: intervals[name] for name in figures},
        "repeats": [{"threshold": threshold, **figures}],
        "reason": "",
    }
