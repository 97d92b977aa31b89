"""The one bootstrap of test images: whole groups are drawn, each class by itself."""

import zlib
from collections.abc import Iterator

import numpy as np

from defectbench.evaluation.image_metrics import image_auroc, last_of_ties

REPLICATES = 2000

REPLICATE_BLOCK = 1 << 22
"""Resampled images held at once, so that memory does not grow with the dataset."""


def group_numbers(groups: np.ndarray) -> np.ndarray:
    """Number of each image's group, from 0; '' is a group of its own."""
    alone = np.flatnonzero(groups == "")
    named = np.unique(groups, return_inverse=True)[1]
    named[alone] = named.max(initial=0) + 1 + np.arange(len(alone))
    return np.unique(named, return_inverse=True)[1]


def independent_images(groups: np.ndarray) -> int:
    """Number of images, those of a group counted as one."""
    return len(np.unique(group_numbers(np.asarray(groups, str))))


def smaller_class(labels: np.ndarray, groups: np.ndarray) -> int:
    """Independent images of the class, good or defective, that has fewer; one that is there."""
    return min(independent_images(groups[labels == label]) for label in np.unique(labels))


def resamples(
    labels: np.ndarray, groups: np.ndarray, seed: int, category: str, block: int
) -> Iterator[np.ndarray]:
    """How often each image comes in each of `REPLICATES` test sets drawn with replacement.

    Groups are drawn whole, for their images know little more than one: those of good images,
    those of defective ones, and those that hold both are drawn apart, so that every resample has
    as many groups of each kind. The draws depend on seed, category, classes and groups alone:
    resample i of two detectors is the same set of images, and their figures are paired.

    Parameters
    ----------
    labels, groups
        Of the test images; an image in '' is a group of its own.
    seed, category
        What the draws depend on.
    block
        Resamples drawn at once.

    Yields
    ------
    ndarray
        int32, (`block` or fewer at the end, n_images).
    """
    rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
    numbers = group_numbers(groups)
    has_good, has_defective = (np.bincount(numbers, labels == label) > 0 for label in (0, 1))
    kinds = (has_good & ~has_defective, has_defective & ~has_good, has_good & has_defective)
    members_of_kinds = [members for kind in kinds if len(members := np.flatnonzero(kind))]
    for start in range(0, REPLICATES, block):
        count = min(block, REPLICATES - start)
        times = np.zeros((count, len(has_good)), np.int32)
        for members in members_of_kinds:
            shares = np.full(len(members), 1 / len(members))
            times[:, members] = rng.multinomial(len(members), shares, count)
        yield times[:, numbers]


def bootstrap_replicates(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int, category: str
) -> dict[str, np.ndarray]:
    """AUROC and average precision of resampled test sets.

    Parameters
    ----------
    labels, scores, groups
        Of the test images.
    seed, category
        As for `resamples`.

    Returns
    -------
    dict of str to ndarray
        ``image_auroc`` and ``aupr``: float64, (`REPLICATES`,); empty unless both classes occur.
    """
    if image_auroc(labels, scores) is None:
        return {}
    order = np.argsort(-scores, kind="stable")
    ties = last_of_ties(scores[order])
    block = max(1, REPLICATE_BLOCK // len(labels))
    parts = [
        _resampled_metrics(times[:, order], labels[order] == 1, ties)
        for times in resamples(labels, groups, seed, category, block)
    ]
    auroc, aupr = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"image_auroc": auroc, "aupr": aupr}


def bootstrap_variance(replicates: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Variance of a figure over resamples, corrected for what resampling takes from it.

    Drawing n of n units with replacement gives (n - 1) / n of the variance; the class with fewer
    units decides.
    """
    n = smaller_class(labels, groups)
    return float(replicates.var()) * (n / (n - 1) if n > 1 else 1.0)


def _resampled_metrics(
    times: np.ndarray, defective: np.ndarray, ties: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of resamples, the images in descending order of score."""
    true_positives = np.cumsum(times * defective, axis=1)[:, ties]
    false_positives = np.cumsum(times * ~defective, axis=1)[:, ties]
    new_true = np.diff(true_positives, axis=1, prepend=0)
    new_false = np.diff(false_positives, axis=1, prepend=0)
    n_true, n_false = true_positives[:, -1], false_positives[:, -1]
    # a good image is below all defective ones of higher score, and half below those of equal score
    wins = ((true_positives - new_true / 2) * new_false).sum(axis=1)
    predicted = np.maximum(true_positives + false_positives, 1)
    precision = (new_true * true_positives / predicted).sum(axis=1)
    return wins / (n_true * n_false), precision / n_true
