"""What a reader must know before believing a figure."""

from collections.abc import Mapping

import numpy as np

from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.promises import CALIBRATION, FOLDS, ROUGH, TOLERANCE, Promise
from defectbench.evaluation.rates import LEVEL, Interval, beta_binomial, effective_size
from defectbench.records import Scores

FLAGS = ("known", "above", "below", "useless", "odd", "estimate", "few_good", "few_defective")
"""What can speak against a detector, in the order in which it is told.

``known``: test images show parts of training or calibration images; ``above``, ``below``: the
false-positive rate seen is incompatible with what the threshold lets expect; ``useless``: the share
of defects found is not clearly above that of good images rejected; ``odd``: the threshold rests on
good images that look like none of the others; ``estimate``: the good images that set it do not
support the rate asked for; ``few_good``, ``few_defective``: too few test images to conclude from.
`reports.flags` has the words for each."""

FEWEST = 10
"""Images of a class below which a point figure says too little to be printed."""

CLASSES = ("good", "defective")
SIGNIFICANCE = 0.05
INEXACT = {
    "randomised": "the principal components of {} are approximate, of a randomised analysis: an "
    "exact one did not fit in the memory",
    "union of selections": "the memory of {} is a union of selections, one from the images of each "
    "fold, and not the published selection from all images",
    "drawn patches": "the memory of {} is selected from some patches of each image, {}, drawn by "
    "the seed: there was no room for all",
}
"""What is to be said of a detector whose `records.Specification.analysis` is not ``exact``."""

NEEDS_ONE_CLASS = {"recall": (1,), "false_positive_rate": (0,)}


def reasons(
    metrics: dict[str, float | int | None], labels: np.ndarray, thresholds: dict[str, float | None]
) -> dict[str, str]:
    """Why figures stay out of print and of averages, by metric; counts always stand.

    Parameters
    ----------
    metrics
        From `image_metrics.image_metrics`.
    labels
        Of the test images.
    thresholds
        By the name that prefixes the metrics taken at it; None where there is none.
    """
    found: dict[str, str] = {}
    for metric in metrics:
        threshold, _, figure = metric.partition("_")
        if figure.endswith(("positives", "negatives")):
            continue
        classes = NEEDS_ONE_CLASS.get(figure, (0, 1))
        if reason := _too_few(labels, classes):
            found[metric] = reason
        elif threshold in thresholds and thresholds[threshold] is None:
            found[metric] = "no threshold, for lack of held-out images"
    return found


def flags(
    test: Scores,
    promised: Promise,
    intervals: Mapping[str, Interval],
    reasons: Mapping[str, str],
    *,
    odd: bool = False,
    known: bool = False,
) -> list[str]:
    """What speaks against a detector at its honest threshold.

    Parameters
    ----------
    test
        Scores of the detector on a category.
    promised
        What the honest threshold lets expect.
    intervals
        From `metric_intervals.metric_intervals`.
    reasons
        From `reasons`.
    odd
        See `decisive.Decisive`.
    known
        Whether test images share groups with those that made the detector.

    Returns
    -------
    list of str
        Those of `FLAGS` that hold.
    """
    found = {against_promise(test, promised), *cautions(test, promised)}
    # balanced accuracy is ½ where as large a share of the good images is called defective as of
    # the defective ones, whatever the numbers of both; without a reason it is defined
    accuracy = "honest_balanced_accuracy"
    if accuracy not in reasons and intervals[accuracy][0] <= 0.5:
        found.add("useless")
    if odd:
        found.add("odd")
    if known:
        found.add("known")
    return [name for name in FLAGS if name in found]


def against_promise(test: Scores, promised: Promise) -> str | None:
    """Whether the rate seen on good test images is incompatible with what a threshold lets expect.

    Parameters
    ----------
    test
        Scores of the test images.
    promised
        The threshold, and the held-out images behind it: they leave its rate open within
        ``range``, and a rate in there is as promised, even if it is not the one asked for.

    Returns
    -------
    str or None
        ``above`` or ``below`` by an exact test, two-sided, 5 %, of the number of test images that
        reach the threshold: beta-binomial, as the rate itself has a beta distribution. Images in
        groups count as their `rates.effective_size`. Of a rate that is promised to be *at most*
        so high, none is ``below``.
    """
    good = test.labels == 0
    if promised["threshold"] is None or not good.any():
        return None
    called = test.scores[good] >= promised["threshold"]
    rate, of = float(called.mean()), round(effective_size(called, test.groups[good]))
    probabilities = beta_binomial(of, promised["above"] + 1, promised["groups"] - promised["above"])
    hits = round(rate * of)
    # counts on both sides that are equally likely differ by rounding
    p_value = probabilities[probabilities <= probabilities[hits] * (1 + 1e-7)].sum()
    if p_value >= SIGNIFICANCE:
        return None
    if rate > promised["expected"]:
        return "above"
    return None if promised["at_most"] else "below"


def cautions(test: Scores, promised: Promise) -> dict[str, str]:
    """What the number of images does not allow to conclude: a sentence by the name of its flag.

    Images of one group count as one: they know little more.

    Parameters
    ----------
    test
        Scores of a detector on a category.
    promised
        What the honest threshold lets expect.
    """
    found = {}
    for label, name in enumerate(CLASSES):
        own = test.groups[test.labels == label]
        if (n_groups := independent_images(own)) < FEWEST:
            grouped = n_groups < len(own)
            few = f"only {n_groups} groups of {name} images" if grouped else _images(n_groups, name)
            # figures of groups stay in print: images are many, and their intervals tell
            what = "go by the intervals" if grouped else "too few to conclude from"
            found[f"few_{name}"] = f"{few}: {what}" if len(own) else few
    if promised["estimate"]:
        found["estimate"] = f"the honest threshold is an estimate: {why_estimated(promised)}"
    return found


def why_estimated(promised: Promise) -> str:
    """Why held-out images do not support a threshold, and how many would; a clause."""
    if promised["estimate"] == FOLDS:
        return (
            "the detectors of so few folds were fitted on too few images to score held-out ones as "
            "this one scores new ones"
        )
    if promised["estimate"] == ROUGH:
        return (
            "this detector's held-out scores keep a rate on average over sets of images, and not "
            "in 95 of 100 of them"
        )
    if not promised["images"]:
        return "there is no held-out image"
    calibrated = promised["folds"] == CALIBRATION
    kind = "calibration images" if calibrated else "good images"
    if promised["groups"] < promised["images"]:
        kind = f"groups of {kind}"
    if not calibrated:
        kind = f"held-out {kind}"
    if promised["next"] is None:
        return "no number of images supports a false-positive rate of 0"
    if promised["rule"] == TOLERANCE:  # the rate that the largest of n scores keeps
        supported, when = 1 - (1 - LEVEL) ** (1 / promised["groups"]), "in 95 of 100 cases"
    else:
        supported, when = 1 / (promised["groups"] + 1), "on average"
    return (
        f"{100 * promised['asked']:.3g} % takes {promised['next']} {kind}; a threshold above all "
        f"{promised['groups']} here would keep {100 * supported:.2g} % {when}"
    )


def approximations(analysis: str, detector: str) -> list[str]:
    """That a detector is not what its name stands for, where it is not: sentences.

    Parameters
    ----------
    analysis
        As in `records.Specification`.
    detector
        Its name.
    """
    kind, _, how = analysis.partition(": ")
    return [] if kind == "exact" else [INEXACT[kind].format(detector, how)]


def _too_few(labels: np.ndarray, classes: tuple[int, ...]) -> str | None:
    counts = ((int((labels == label).sum()), CLASSES[label]) for label in classes)
    return " and ".join(_images(*each) for each in counts if each[0] < FEWEST) or None


def _images(count: int, name: str) -> str:
    if not count:
        return f"no {name} test image"
    return f"only {count} {name} test image" + ("s" if count > 1 else "")
