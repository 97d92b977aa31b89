"""Folds of the training images: what is held out together."""

from collections.abc import Sequence

import numpy as np


def folds(groups: Sequence[str], n_folds: int, seed: int) -> list[np.ndarray]:
    """Shuffled folds of nearly equal size in which groups stay whole.

    Of a single group, blocks of neighbours are held out: no image is new then, but these are the
    newest there are, and everything but the threshold can still be measured.

    Parameters
    ----------
    groups
        Each image's group, empty for an image that is a group of its own.
    n_folds
        At most; fewer if there are fewer groups.
    seed
        Of the shuffling.

    Returns
    -------
    list of ndarray
        Rows of each fold, ascending; together every row once.
    """
    if not any(groups):
        shuffled = np.random.default_rng(seed).permutation(len(groups))
        return [np.sort(fold) for fold in np.array_split(shuffled, min(n_folds, len(groups)))]
    sizes, members = _members(groups)
    if len(sizes) == 1:
        return contiguous_folds(len(groups), n_folds)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(n_folds, len(sizes)), int)
    fold_of_group = np.empty(len(sizes), int)
    for group in order:  # the largest first, each into the fold that is emptiest so far
        fold_of_group[group] = filled.argmin()
        filled[filled.argmin()] += sizes[group]
    return [np.flatnonzero(fold_of_group[members] == fold) for fold in range(len(filled))]


def contiguous_folds(n_images: int, n_folds: int) -> list[np.ndarray]:
    """Rows of folds of neighbours in the index."""
    return np.array_split(np.arange(n_images), min(n_folds, n_images))


def number_of_groups(groups: Sequence[str]) -> int:
    """Groups, each image without one counted as its own."""
    return len(_members(groups)[0])


def _members(groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Size of each group, and each image's group."""
    numbers: dict[str | int, int] = {}
    keys = [group or row for row, group in enumerate(groups)]
    members = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    return np.bincount(members), members
