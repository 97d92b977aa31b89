"""Held-out scores: folds of the training images, scores of each by the others, and trimming."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.promises import EACH, FOLDS, MANY, ROUGH
from defectbench.evaluation.spool import Spool
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features, number_of_images

FEW = 300
"""Images or groups of which `auto` holds each out by itself."""

FEW_MAPS = 40
"""Images or groups of which a detector that localizes misses each one that is held out."""

MANY_FOLDS, FEW_FOLDS = 20, 10
"""What `auto` means where there are more, or of a scorer with `Scorer.few_folds`."""

NumberOfFolds = int | Literal["auto", "each"]


def number_of_folds(asked: NumberOfFolds, scorer: Scorer, groups: Sequence[str]) -> int:
    """How many folds a config's ``threshold: {folds}`` means.

    Parameters
    ----------
    asked
        A number; ``each`` for one of every image or group; ``auto`` for as many as a scorer can
        leave out at little cost.
    scorer
        One that is trained by gradient takes no more than `Scorer.most_folds`.
    groups
        Each image's group, empty for an image that is a group of its own.
    """
    most = len(_members(groups)[0])
    if most == 1:  # of a single group, `folds` holds out blocks of neighbours
        most = min(FEW_FOLDS, len(groups))
    if asked == "each":
        number = most
    elif asked != "auto":
        number = asked
    elif scorer.few_folds:
        number = FEW_FOLDS
    else:
        number = most if most <= FEW else MANY_FOLDS
    return min(number, scorer.most_folds or number)


def how_held_out(scorer: str, fold_of_image: np.ndarray, groups: Sequence[str]) -> str:
    """How alike held-out scores are to those of new images, by the number of folds.

    A detector without a fifth of the images finds that fifth more anomalous than one of all images
    finds new ones. How many folds do is simulated: reports/promises.md.

    Parameters
    ----------
    scorer
        Its name.
    fold_of_image, groups
        Fold and group of each image that was held out; '' is a group of its own.

    Returns
    -------
    str
        As in `promises.Asked`.
    """
    kind = scorer_class(scorer)
    n_folds, n_groups = len(np.unique(fold_of_image)), len(_members(groups)[0])
    enough = FEW_FOLDS if kind.few_folds else MANY_FOLDS
    alone = n_folds == n_groups > 1
    if not alone and (kind.most_folds or n_folds < enough):
        return FOLDS
    if kind.rough_scale:
        return ROUGH
    if not alone or (kind.localizes and n_groups < FEW_MAPS):
        return MANY
    return ROUGH if kind.dependent_scores else EACH


def folds(groups: Sequence[str], n_folds: int, seed: int) -> list[np.ndarray]:
    """Shuffled folds of nearly equal size in which groups stay whole.

    With a single group no split is honest: blocks of neighbouring images are held out, so that
    everything except the threshold is still meaningful (`held_out_check` warns).

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


def _members(groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Size of each group, and each image's group."""
    numbers: dict[str | int, int] = {}
    # numbered by first appearance, on which the draw of the folds depends
    keys = [group or row for row, group in enumerate(groups)]
    members = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    return np.bincount(members), members


def held_out(
    scorer: Scorer, X: Features, folds: list[np.ndarray], maps: Spool | None = None
) -> np.ndarray:
    """Score the training images of each fold by the scorer fitted on all others.

    Parameters
    ----------
    scorer
        Fitted on all of `X`; the scores are on its scale.
    X
        Features of the training images.
    folds
        Rows of each fold, each row once at most.
    maps
        Takes the anomaly map of each image, float32, (height, width), fold by fold; None where
        they are not wanted.

    Returns
    -------
    ndarray
        float64, (n_images,); NaN of an image that is in no fold.

    Raises
    ------
    InputError
        If a fold leaves too few images, as large groups can.
    """
    n_images = number_of_images(X)
    left = n_images - max(map(len, folds))
    fewest = scorer.fewest_images(len(X) if isinstance(X, list) else 1)
    if left < fewest:
        raise InputError(
            f"without the largest of {len(folds)} folds {left} training images are left, the "
            f"scorer needs {fewest}; smaller groups or more parts are needed"
        )
    scores = np.full(n_images, np.nan)
    for rows, own_scores, own_maps in scorer.held_out(X, folds, maps=maps is not None):
        scores[rows] = own_scores
        if maps is not None:
            for own_map in own_maps:
                maps.append(own_map)
    return scores


def rows_left(
    scorer: Scorer,
    X: Features,
    groups: Sequence[str],
    share: float,
    n_folds: NumberOfFolds,
    seed: int,
) -> np.ndarray:
    """Training images to keep after the share with the highest held-out scores is dropped.

    Fit and threshold see the kept images alone: a few bad images among the held-out scores spoil
    the threshold long before they spoil a fit. Groups are held out whole, or a bad part's further
    exposures would make it look usual.

    Parameters
    ----------
    scorer
        With its parameters; it is fitted on the way.
    X
        Features of the training images.
    groups
        Each image's group, empty for none.
    share
        Of the images that are left out, 0 to 1.
    n_folds, seed
        Of the folds.

    Returns
    -------
    ndarray
        Rows, ascending.

    Raises
    ------
    InputError
        If the images are too few for the scorer.
    """
    split = folds(groups, number_of_folds(n_folds, scorer, groups), seed)
    return trim(held_out(scorer.fit_for_folds(X, split), X, split), share)


def trim(held_out_scores: np.ndarray, share: float) -> np.ndarray:
    """Rows to keep after the share of the highest scores is dropped.

    Only held-out scores will do: a detector that was fitted on a bad image may find nothing odd
    about it (its distance to its nearest neighbour, itself, is 0).

    Parameters
    ----------
    held_out_scores
        Of the training images.
    share
        0 to 1; of fractions of an image, the smaller number is left out.
    """
    order = np.argsort(held_out_scores, kind="stable")
    return np.sort(order[: len(order) - int(share * len(order))])
