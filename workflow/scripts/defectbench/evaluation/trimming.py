"""Trimming: training images that look odd to a detector fitted without them are left out."""

from collections.abc import Sequence

import numpy as np

from defectbench.evaluation.folds import folds
from defectbench.evaluation.held_out import held_out
from defectbench.scorers.base import Features, Scorer


def rows_left(
    scorer: Scorer, X: Features, groups: Sequence[str], share: float, n_folds: int, seed: int
) -> np.ndarray:
    """Training images that trimming leaves for any scorer; those left are then all that there are.

    Neither the fit nor the threshold sees the others: among the held-out scores bad images would
    spoil the threshold long before they spoil a fit. Groups are held out whole, so that an image
    is not vouched for by its own part.

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
    split = folds(groups, n_folds, seed)
    return trim(held_out(scorer.fit(X), X, split).scores, share)


def trim(held_out_scores: np.ndarray, share: float) -> np.ndarray:
    """Rows that are left without the share of the highest scores.

    The scores are held-out ones: a detector that was fitted on a defective image as well may find
    nothing odd about it, as the distance to the nearest neighbour does, which is 0.

    Parameters
    ----------
    held_out_scores
        Of the training images.
    share
        0 to 1; of fractions of an image, the smaller number is left out.
    """
    order = np.argsort(held_out_scores, kind="stable")
    return np.sort(order[: len(order) - int(share * len(order))])
