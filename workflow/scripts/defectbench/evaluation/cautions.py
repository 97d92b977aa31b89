"""What a reader must know before believing a figure."""

from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.rates import effective_size
from defectbench.evaluation.thresholds import images_to_vouch_for

FEWEST = 10
"""Images of a class below which a point figure says too little to be printed."""

SIGNIFICANCE = 0.05
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
    metrics: dict[str, float | int | None],
    predicted: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    asked: float,
) -> dict[str, Any]:
    """What speaks against a detector at its honest threshold.

    Parameters
    ----------
    metrics
        From `image_metrics.image_metrics`.
    predicted, labels, groups
        Of the test images; `predicted` at the honest threshold.
    asked
        The false-positive rate asked for.

    Returns
    -------
    dict
        ``false_positive_rate``: ``above`` or ``below`` where the rate on the good test images is
        incompatible with the one asked for (exact binomial test, two-sided, 5 %; images in
        groups count as their `intervals.effective_size`), else None. ``beats_trivial_f1``: bool,
        or None where F1 is not defined.
    """
    f1, trivial = metrics["honest_f1"], metrics["trivial_f1"]
    return {
        "false_positive_rate": against_asked(predicted[labels == 0], groups[labels == 0], asked),
        "beats_trivial_f1": None if f1 is None or trivial is None else bool(f1 > trivial),
    }


def against_asked(predicted: np.ndarray, groups: np.ndarray, asked: float) -> str | None:
    """Whether the rate seen on good images is incompatible with the one asked for.

    Parameters
    ----------
    predicted, groups
        Of the good test images; whether each is called defective.
    asked
        The false-positive rate asked for.

    Returns
    -------
    str or None
        ``above`` or ``below`` by an exact binomial test, two-sided, 5 %; images in groups count as
        their `intervals.effective_size`.
    """
    if not len(predicted):
        return None
    rate = float(predicted.mean())
    of = round(effective_size(predicted, groups))
    p_value = binomial_p_value(round(rate * of), of, asked)
    if p_value >= SIGNIFICANCE:
        return None
    return "above" if rate > asked else "below"


def cautions(
    labels: np.ndarray, groups: np.ndarray, held_out_groups: np.ndarray, asked: float
) -> list[str]:
    """What the number of images does not allow to conclude, in sentences.

    Images of one group count as one: they know little more.

    Parameters
    ----------
    labels, groups
        Of the test images.
    held_out_groups
        Groups of the images whose scores the honest threshold was taken from.
    asked
        The false-positive rate asked for.
    """
    found = []
    for label, name in ((0, "good"), (1, "defective")):
        n_images = int((labels == label).sum())
        n_groups = _count(groups[labels == label])
        if n_groups < FEWEST:
            alone = n_groups == n_images
            few = _images(n_images, name) if alone else f"only {n_groups} groups of {name} images"
            found.append(f"{few}: too few to conclude from" if n_images else few)
    needed, held_out = images_to_vouch_for(asked), _count(held_out_groups)
    if needed is None:
        found.append("no number of images can vouch for a false-positive rate of 0")
    elif held_out < needed:
        kind = "images" if held_out == len(held_out_groups) else "groups of images"
        found.append(
            f"the honest threshold rests on {held_out} held-out defect-free {kind}; a "
            f"false-positive rate of at most {asked:.3g} holds with 95 % confidence only from "
            f"{needed} on"
        )
    return found


def _count(groups: np.ndarray) -> int:
    """Number of groups; an image without one counts by itself."""
    return len(set(group_numbers(groups).tolist()))


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
    counts = {label: int((labels == label).sum()) for label in classes}
    lacking = [
        _images(count, ("good", "defective")[label])
        for label, count in counts.items()
        if count < FEWEST
    ]
    return " and ".join(lacking) or None


def _images(count: int, name: str) -> str:
    if not count:
        return f"no {name} test image"
    return f"only {count} {name} test image" + ("s" if count > 1 else "")
