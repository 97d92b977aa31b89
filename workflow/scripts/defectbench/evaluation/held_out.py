"""Scores and maps of training images by models that were fitted without them."""

import copy
from typing import NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Features, Scorer, number_of_images, take_images


class HeldOut(NamedTuple):
    """What `held_out` finds for every training image.

    Attributes
    ----------
    scores
        float64, (n_images,).
    maps
        float32, (n_images, height, width); None unless asked for.
    """

    scores: np.ndarray
    maps: np.ndarray | None


def held_out(
    scorer: Scorer, X: Features, folds: list[np.ndarray], *, maps: bool = False
) -> HeldOut:
    """Score every training image by the scorer fitted on the other folds.

    Parameters
    ----------
    scorer
        Fitted on all of `X`; the scores are on its scale.
    X
        Features of the training images.
    folds
        Rows of each fold; together every row once.
    maps
        Whether anomaly maps are wanted too.

    Raises
    ------
    InputError
        If a fold leaves too few images, as large groups can.
    """
    n_images = number_of_images(X)
    left = n_images - max(map(len, folds))
    if left < scorer.fewest_images:
        raise InputError(
            f"without the largest of {len(folds)} folds {left} training images are left, the "
            f"scorer needs {scorer.fewest_images}; smaller groups or more parts are needed"
        )
    scores = np.empty(n_images)
    found: list[np.ndarray] = []
    of_the_others = copy.copy(scorer)
    for members in folds:
        rest = np.setdiff1d(np.arange(n_images), members)
        own = take_images(X, members)
        of_the_others.fit(take_images(X, rest))
        if maps:
            scores[members], own_maps = of_the_others.score_and_map(own)
            found.append(own_maps)
        else:
            scores[members] = of_the_others.anomaly_score(own)
        scores[members] += of_the_others.scale_shift(scorer)
    if not maps:
        return HeldOut(scores, None)
    order = np.argsort(np.concatenate(folds))
    return HeldOut(scores, np.concatenate(found)[order])
