"""Signs, without any label, that held-out images are not as new as tomorrow's will be."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.held_out import contiguous_folds, held_out, number_of_groups
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.scorers.base import Features, Scorer, number_of_images

FEWEST_IMAGES = 40
"""Below, nothing is said: the scores of so few images differ much from one split to the next."""

NEIGHBOURS = 10
RARE = 0.01
MANY = 0.2
"""Share of near-duplicates that is reported, twenty times the `RARE` ones of an even spread."""

RATE = 0.05
"""Of the threshold whose rates are compared, whatever rate the config asks for."""

SIGNIFICANCE = 0.001
BLOCK = 1024
ADVICE = "if several images show one part, set `groups` of the dataset"


class NearDuplicates(NamedTuple):
    """Result of `near_duplicates`.

    Attributes
    ----------
    nearest_neighbour_ratio
        Median over the images of the distance to the nearest image, divided by that to the tenth.
    near_duplicates
        Share of the images whose ratio is one that, in an even spread, an image in a hundred has.
    """

    nearest_neighbour_ratio: float
    near_duplicates: float


class Jump(NamedTuple):
    """Result of `contiguous_jump`.

    Attributes
    ----------
    shuffled_rate
        Share of the shuffled folds' held-out scores above a threshold for 5 %.
    contiguous_rate
        Share of the contiguous folds' scores above the same threshold.
    significant
        Whether that is more than chance explains.
    """

    shuffled_rate: float
    contiguous_rate: float
    significant: bool


def near_duplicates(X: np.ndarray) -> NearDuplicates:
    """How much closer the nearest images are than their other neighbours let expect.

    Around a point of an even spread in D dimensions, the volumes of the balls up to the first and
    up to the k-th neighbour have a ratio, the D-th power of the distances', that follows the beta
    distribution (1, k − 1). D is taken from the 10th and the 20th neighbour in the same way, where
    the median of (10, 10) is a half and a few exposures of one part play no role any more. Neither
    scale nor dimension has to be known.

    Parameters
    ----------
    X
        Features of more than 20 training images, (n_images, n_dimensions).
    """
    distances = _neighbour_distances(X, 2 * NEIGHBOURS)
    first, inner, outer = distances[:, [0, NEIGHBOURS - 1, 2 * NEIGHBOURS - 1]].T
    tiny = np.finfo(np.float64).tiny
    nearest = first / np.maximum(inner, tiny)
    spread = np.median(inner / np.maximum(outer, tiny))
    dimension = np.log(0.5) / np.log(np.clip(spread, 1e-9, 1 - 1e-9))
    # the first of n - 1 inner neighbours is this near by chance in the share RARE of all images
    limit = (1 - (1 - RARE) ** (1 / (NEIGHBOURS - 1))) ** (1 / dimension)
    return NearDuplicates(float(np.median(nearest)), float((nearest < limit).mean()))


def _are_too_many(above: int, n_images: int) -> bool:
    """Whether so many images are above the threshold less than once in a thousand by chance."""
    from scipy.special import bdtrc  # seldom needed, and half of what a detector's job imports

    return float(bdtrc(above - 1, n_images, RATE)) < SIGNIFICANCE


def contiguous_jump(scorer: Scorer, X: Features, shuffled_scores: np.ndarray, n_folds: int) -> Jump:
    """Whether held-out scores rise when neighbours in the index are left out together.

    More than chance explains means both: above the threshold lie more than a binomial count
    exceeds once in a thousand, and scores rise more often than they fall by three standard
    deviations of a fair coin. Either alone can happen to a detector with few images per parameter.

    Parameters
    ----------
    scorer
        Fitted on all of `X`.
    X
        Features of the training images in the order of their paths.
    shuffled_scores
        Held-out scores of shuffled folds.
    n_folds
        Number of folds.
    """
    n_images = number_of_images(X)
    scores = held_out(scorer, X, contiguous_folds(n_images, n_folds)).scores
    threshold = threshold_at_false_positive_rate(shuffled_scores, RATE)
    above = int((scores >= threshold).sum())
    rises = float((scores > shuffled_scores).mean()) > 0.5 + 1.5 / n_images**0.5
    return Jump(
        shuffled_rate=float((shuffled_scores >= threshold).mean()),
        contiguous_rate=above / n_images,
        significant=rises and _are_too_many(above, n_images),
    )


def check_held_out(
    scorer: Scorer,
    X: Features,
    groups: Sequence[str],
    scores: np.ndarray,
    n_folds: int,
) -> dict[str, Any]:
    """What is to be known about the held-out scores of a detector.

    Parameters
    ----------
    scorer
        Fitted on all of `X`.
    X
        Features of the training images in the order of their paths.
    groups
        Each image's group, empty for none.
    scores
        The held-out scores.
    n_folds
        Number of folds.

    Returns
    -------
    dict
        groups: their number, None where no image has one. nearest_neighbour_ratio,
        near_duplicates, shuffled_rate, contiguous_rate: None where there are groups or too few
        images; the rates also for scorers that draw random numbers. warnings: one sentence each,
        with the key to set.
    """
    found: dict[str, Any] = {
        "groups": number_of_groups(groups) if any(groups) else None,
        "nearest_neighbour_ratio": None,
        "near_duplicates": None,
        "shuffled_rate": None,
        "contiguous_rate": None,
        "warnings": [],
    }
    if found["groups"] == 1:
        found["warnings"].append(
            "all training images are of one group: no held-out image is new, and the honest "
            "threshold is too low for other parts; photograph more parts, or mend `groups`"
        )
    if found["groups"] or number_of_images(X) < FEWEST_IMAGES:
        return found
    close = near_duplicates(X[-1] if isinstance(X, list) else X)
    found |= close._asdict()
    if close.near_duplicates > MANY:
        found["warnings"].append(
            f"{close.near_duplicates:.0%} of the training images have one neighbour far closer "
            f"than the others, as exposures of one part do; {ADVICE}"
        )
    if scorer.draws:
        return found  # fits of those are too long to be made twice
    jump = contiguous_jump(scorer, X, scores, n_folds)
    found |= {"shuffled_rate": jump.shuffled_rate, "contiguous_rate": jump.contiguous_rate}
    if jump.significant:
        found["warnings"].append(
            "held-out scores rise when neighbouring images are left out together: "
            f"{jump.contiguous_rate:.0%} instead of {RATE:.0%} would be called defective; {ADVICE}"
        )
    return found


def _neighbour_distances(X: np.ndarray, count: int) -> np.ndarray:
    """Euclidean distances from each row to its nearest other ones, ascending."""
    vectors = X.reshape(len(X), -1) - X.reshape(len(X), -1).mean(axis=0)
    squared_norms = np.einsum("ij,ij->i", vectors, vectors)
    nearest = []
    for start in range(0, len(vectors), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(vectors)))
        squared = squared_norms[rows, None] + squared_norms - 2 * vectors[rows] @ vectors.T
        squared[np.arange(len(rows)), rows] = np.inf  # to itself
        nearest.append(np.sort(np.partition(squared, count - 1, axis=1)[:, :count], axis=1))
    return np.sqrt(np.maximum(np.concatenate(nearest).astype(np.float64), 0))
