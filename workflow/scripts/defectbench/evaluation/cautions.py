"""What a reader must know before believing a figure."""

from collections.abc import Mapping

import numpy as np

from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.rates import effective_size
from defectbench.evaluation.thresholds import images_to_vouch_for
from defectbench.records import HeldOutScores, Scores

FLAGS = ("above", "below", "useless", "few_held_out", "few_good", "few_defective")
"""What can speak against a detector, in the order in which it is told.

``above``, ``below``: the false-positive rate seen is incompatible with the one asked for;
``useless``: F1 does not beat the answer "everything is defective"; ``few_held_out``: there are too
few held-out images to vouch for the rate asked for; ``few_good``, ``few_defective``: too few test
images to conclude from. `reports.flags` has the words for each."""

FEWEST = 10
"""Images of a class below which a point figure says too little to be printed."""

CLASSES = ("good", "defective")
SIGNIFICANCE = 0.05
INEXACT = {
    "randomised": "the principal components of {} are approximate, of a randomised analysis: an "
    "exact one did not fit in the memory",
    "union of selections": "the memory of {} is a union of selections, one from the images of each "
    "fold, and not the published selection from all images",
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
    held_out: HeldOutScores,
    threshold: float | None,
    asked: float,
    metrics: Mapping[str, float | int | None],
    reasons: Mapping[str, str],
) -> list[str]:
    """What speaks against a detector at its honest threshold.

    Parameters
    ----------
    test, held_out
        Scores of the detector on a category.
    threshold
        The honest one; None for none.
    asked
        The false-positive rate asked for.
    metrics
        From `image_metrics.image_metrics`.
    reasons
        From `reasons`.

    Returns
    -------
    list of str
        Those of `FLAGS` that hold.
    """
    found = {against_asked(test, threshold, asked), *cautions(test, held_out, asked)}
    # a figure without a reason is defined
    if "honest_f1" not in reasons and metrics["honest_f1"] <= metrics["trivial_f1"]:
        found.add("useless")
    return [name for name in FLAGS if name in found]


def against_asked(test: Scores, threshold: float | None, asked: float) -> str | None:
    """Whether the rate seen on good test images is incompatible with the one asked for.

    Parameters
    ----------
    test
        Scores of the test images.
    threshold
        Images that reach it are called defective; None for none.
    asked
        The false-positive rate asked for.

    Returns
    -------
    str or None
        ``above`` or ``below`` by an exact binomial test, two-sided, 5 %; images in groups count as
        their `intervals.effective_size`.
    """
    good = test.labels == 0
    if threshold is None or not good.any():
        return None
    called = test.scores[good] >= threshold
    rate, of = float(called.mean()), round(effective_size(called, test.groups[good]))
    if binomial_p_value(round(rate * of), of, asked) >= SIGNIFICANCE:
        return None
    return "above" if rate > asked else "below"


def cautions(test: Scores, held_out: HeldOutScores, asked: float) -> dict[str, str]:
    """What the number of images does not allow to conclude: a sentence by the name of its flag.

    Images of one group count as one: they know little more.

    Parameters
    ----------
    test, held_out
        Scores of a detector on a category; the honest threshold rests on the latter.
    asked
        The false-positive rate asked for.
    """
    found = {}
    for label, name in enumerate(CLASSES):
        own = test.groups[test.labels == label]
        if (n_groups := independent_images(own)) < FEWEST:
            grouped = n_groups < len(own)
            few = f"only {n_groups} groups of {name} images" if grouped else _images(n_groups, name)
            found[f"few_{name}"] = f"{few}: too few to conclude from" if len(own) else few
    needed, count = images_to_vouch_for(asked), independent_images(held_out.groups)
    if needed is None:
        found["few_held_out"] = "no number of images can vouch for a false-positive rate of 0"
    elif count < needed:
        kind = "images" if count == len(held_out.groups) else "groups of images"
        found["few_held_out"] = (
            f"the honest threshold rests on {count} held-out defect-free {kind}; a "
            f"false-positive rate of at most {asked:.3g} holds with 95 % confidence only from "
            f"{needed} on"
        )
    return found


def approximations(analysis: str, detector: str) -> list[str]:
    """That a detector is not what its name stands for, where it is not: sentences.

    Parameters
    ----------
    analysis
        As in `records.Specification`.
    detector
        Its name.
    """
    return [] if analysis == "exact" else [INEXACT[analysis].format(detector)]


def fewer_folds(
    asked: int | str, most: int | None, held_out: HeldOutScores, detector: str
) -> list[str]:
    """That a detector was held out in fewer folds than the config asks for: sentences.

    Parameters
    ----------
    asked, most
        ``folds`` and ``most_folds`` of its `records.Specification`.
    held_out
        Its held-out scores.
    detector
        Its name.
    """
    if most is None or independent_images(held_out.groups) <= most:
        return []  # there cannot be more, whatever the detector
    if isinstance(asked, int) and asked <= most:
        return []
    return [
        f"the honest threshold of {detector} rests on {most} folds, and `threshold: {{folds: "
        f"{asked}}}` asks for more: this detector is trained anew for every fold, and takes no more"
    ]


def binomial_p_value(hits: int, of: int, rate: float) -> float:
    """Exact two-sided p-value: the probability of all counts no likelier than the one found."""
    if rate in (0, 1):
        return float(hits == rate * of)
    k = np.arange(of + 1)
    factorials = np.concatenate([[0.0], np.log(k[1:]).cumsum()])  # their logarithms
    ways = factorials[of] - factorials - factorials[::-1]
    probabilities = np.exp(ways + k * np.log(rate) + (of - k) * np.log1p(-rate))
    # counts on both sides that are equally likely differ by rounding
    return float(probabilities[probabilities <= probabilities[hits] * (1 + 1e-7)].sum())


def _too_few(labels: np.ndarray, classes: tuple[int, ...]) -> str | None:
    counts = ((int((labels == label).sum()), CLASSES[label]) for label in classes)
    return " and ".join(_images(*each) for each in counts if each[0] < FEWEST) or None


def _images(count: int, name: str) -> str:
    if not count:
        return f"no {name} test image"
    return f"only {count} {name} test image" + ("s" if count > 1 else "")
