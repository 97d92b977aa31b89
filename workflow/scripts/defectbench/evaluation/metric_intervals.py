"""Intervals of the image metrics of one detector on one category, by the metric's name."""

import numpy as np

from defectbench.evaluation.bootstrap import bootstrap_variance, independent_images
from defectbench.evaluation.intervals import aupr_interval, auroc_interval, monotone_interval
from defectbench.evaluation.rates import Interval, share_interval


def confusion_intervals(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> dict[str, Interval]:
    """Intervals of the metrics at a threshold that was not chosen on these images.

    Parameters
    ----------
    labels, groups
        Of the images.
    predicted
        bool, (n_images,): which images are called defective.

    Returns
    -------
    dict of str to (float, float)
        By name, those of the metrics that are defined.
    """
    names = {1: "recall", 0: "false_positive_rate"}
    rates, found = {}, {}
    for label in set(labels.tolist()):
        called = predicted[labels == label]
        rates[label] = float(called.mean())
        found[names[label]] = share_interval(called, groups[labels == label])
    if len(rates) < 2:
        return found
    ratio = (labels == 0).sum() / (labels == 1).sum()

    def f1(recall: float, false_positive_rate: float) -> float:
        return 2 * recall / (recall + ratio * false_positive_rate + 1)

    def balanced_accuracy(recall: float, false_positive_rate: float) -> float:
        return (1 + recall - false_positive_rate) / 2

    limits = [found["recall"], found["false_positive_rate"]]
    for function in (f1, balanced_accuracy):
        low, high = monotone_interval(function, [rates[1], rates[0]], limits)
        found[function.__name__] = max(low, 0.0), min(high, 1.0)  # added distances may overshoot
    return found


def metric_intervals(
    metrics: dict[str, float | int | None],
    replicates: dict[str, np.ndarray],
    labels: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Interval]:
    """Intervals of all metrics that have one, by name.

    Metrics at the oracle threshold have none: it is chosen on the very images that it is judged
    on.

    Parameters
    ----------
    metrics
        From `image_metrics.image_metrics`.
    replicates
        From `bootstrap.bootstrap_replicates`.
    labels, predicted, groups
        Of the test images; `predicted` at the honest threshold.
    """
    found = confusion_intervals(labels, predicted, groups)
    of_honest = {f"honest_{name}": interval for name, interval in found.items()}
    defined = {name: each for name, each in of_honest.items() if metrics[name] is not None}
    return ranking_intervals(metrics, replicates, labels, groups) | defined


def ranking_intervals(
    metrics: dict[str, float | int | None],
    replicates: dict[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Interval]:
    """Intervals of AUROC and AUPR; empty where they are not defined.

    Parameters
    ----------
    metrics
        Both by name.
    replicates
        Theirs, from `bootstrap.bootstrap_replicates`.
    labels, groups
        Of the images.
    """
    if not replicates:
        return {}
    n_good, n_defective = (independent_images(groups[labels == label]) for label in (0, 1))
    variances = {
        name: bootstrap_variance(array, labels, groups) for name, array in replicates.items()
    }
    auroc, aupr = metrics["image_auroc"], metrics["aupr"]
    return {
        "image_auroc": auroc_interval(auroc, variances["image_auroc"], n_good, n_defective),
        "aupr": aupr_interval(aupr, variances["aupr"], n_good, n_defective),
    }
