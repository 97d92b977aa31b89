"""Bootstrap resamples of the test images."""

import zlib

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
    return len(np.unique(group_numbers(groups)))


def bootstrap_replicates(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int, category: str
) -> dict[str, np.ndarray]:
    """Metrics of test sets resampled with replacement, each class by itself.

    What is resampled is groups, whole: those of good images, of defective ones, and those that
    hold both are drawn apart. The draws depend on seed, category, classes and groups alone:
    replicate i of two detectors is the same set of images, so their replicates are paired.

    Parameters
    ----------
    labels, scores
        Of the test images.
    groups
        str, (n_images,); an image in '' is a group of its own.
    seed, category
        What the draws depend on.

    Returns
    -------
    dict of str to ndarray
        ``image_auroc`` and ``aupr``: float64, (`REPLICATES`,); empty unless both classes occur.
    """
    if image_auroc(labels, scores) is None:
        return {}
    rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
    order = np.argsort(-scores, kind="stable")
    ties = last_of_ties(scores[order])
    numbers = group_numbers(groups)
    block = max(1, REPLICATE_BLOCK // len(labels))
    parts = []
    for start in range(0, REPLICATES, block):
        times = _times_drawn(labels, numbers, min(block, REPLICATES - start), rng)
        parts.append(_resampled_metrics(times[:, order], labels[order] == 1, ties))
    auroc, aupr = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"image_auroc": auroc, "aupr": aupr}


def _times_drawn(
    labels: np.ndarray, numbers: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """How often each of `count` resamples holds each image: int32, (count, n_images)."""
    has_good, has_defective = (np.bincount(numbers, labels == label) > 0 for label in (0, 1))
    times = np.zeros((count, len(has_good)), np.int32)
    kinds = (has_good & ~has_defective, has_defective & ~has_good, has_good & has_defective)
    for members in map(np.flatnonzero, kinds):
        if len(members):
            shares = np.full(len(members), 1 / len(members))
            times[:, members] = rng.multinomial(len(members), shares, count)
    return times[:, numbers]


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
