"""Warns, without labels, when held-out training images are too similar to the fitted ones.

Several exposures of one part do that: the honest threshold is then too low for new parts. Two signs
are looked for: near-duplicates among the features, and held-out scores that rise when neighbouring
images are left out together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.held_out import contiguous_folds, folds, held_out
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.memory import BLOCK_BYTES
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features, Layer, image_blocks, number_of_images

FEWEST_IMAGES = 40
"""With fewer images nothing is said: their scores differ much from one split to the next."""

FOLDS = 5
"""That are compared, shuffled and of neighbours, whatever is configured."""

ENDS_FIRST = (4, 0, 2, 1, 3)
"""Folds of neighbours: what drifts is farthest from the others at the ends."""

ENOUGH_IMAGES = 1000
"""Of so many in folds of neighbours a rise is seen; further folds would only take time."""

NEIGHBOURS = 10
RARE = 0.01
"""Share of the images of an even spread that count as near-duplicates."""

MANY = 0.2
"""Share of near-duplicates from which on a warning is given: twenty times `RARE`."""

RATE = 0.05
"""False-positive rate of the threshold at which two splits are compared, whatever is configured."""

SIGNIFICANCE = 0.001
NEIGHBOUR_SIGNS = ("nearest_neighbour_ratio", "near_duplicates")
RATES = ("shuffled_rate", "contiguous_rate")
BLOCK = 1024
"""Images whose distances to all others are computed at once, unless their features are large."""

MOST_BYTES = 4 * BLOCK_BYTES
"""Of the features of these images: the more there are, the fewer times all others are read."""

ADVICE = "if several images show one part, set `groups` of the dataset"


def near_duplicates(X: Layer) -> tuple[float, float]:
    """How much closer the nearest image is than the farther neighbours let expect.

    In an even spread of D dimensions, the ball around a point up to its first neighbour has a share
    of the volume of the ball up to its k-th neighbour that follows the beta distribution
    (1, k − 1); the share is the D-th power of the ratio of the two distances. D itself is
    estimated from the 10th and the 20th neighbour, whose share has a median of one half (beta
    distribution (10, 10)): so far out, a few exposures of one part play no role. Neither the scale
    of the features nor their dimension has to be known.

    Parameters
    ----------
    X
        Features of one layer of more than 20 training images.

    Returns
    -------
    nearest_neighbour_ratio : float
        Median over the images of the distance to the nearest image, divided by that to the tenth.
    near_duplicates : float
        Share of the images with a ratio so small that in an even spread one image in a hundred has
        it.
    """
    distances = _neighbour_distances(X, 2 * NEIGHBOURS)
    first, inner, outer = distances[:, [0, NEIGHBOURS - 1, 2 * NEIGHBOURS - 1]].T
    tiny = np.finfo(np.float64).tiny
    nearest = first / np.maximum(inner, tiny)
    spread = np.median(inner / np.maximum(outer, tiny))
    dimension = np.log(0.5) / np.log(np.clip(spread, 1e-9, 1 - 1e-9))
    # the first of n - 1 inner neighbours is this near by chance in the share RARE of all images
    limit = (1 - (1 - RARE) ** (1 / (NEIGHBOURS - 1))) ** (1 / dimension)
    return float(np.median(nearest)), float((nearest < limit).mean())


def contiguous_jump(
    scorer: Scorer, X: Features, shuffled_scores: np.ndarray
) -> tuple[float, float, bool]:
    """Whether held-out scores rise when neighbours in the index are left out together.

    A rise is significant if two tests agree, for a detector with few images per parameter can fail
    either one by chance: more images lie above the threshold than a binomial count exceeds once in
    a thousand, and more scores rise than fall, by three standard deviations of a fair coin.

    Parameters
    ----------
    scorer
        Fitted on all of `X`.
    X
        Features of the training images in the order of their paths.
    shuffled_scores
        Held-out scores of `FOLDS` shuffled folds.

    Returns
    -------
    shuffled_rate, contiguous_rate : float
        Shares of the shuffled and of the contiguous folds' held-out scores above one threshold,
        which is set on the former for `RATE`.
    significant : bool
        Whether the rise is more than chance explains.
    """
    split = contiguous_folds(number_of_images(X), FOLDS)
    split = [split[number] for number in ENDS_FIRST if number < len(split)]
    split = split[: -(-ENOUGH_IMAGES // len(split[0]))]  # as many as hold so many images
    rows = np.concatenate(split)
    scores = held_out(scorer, X, split)[rows]
    threshold = threshold_at_false_positive_rate(shuffled_scores, RATE)
    above = int((scores >= threshold).sum())
    # three standard deviations of a fair coin, each of which is 0.5 / √n
    rises = float((scores > shuffled_scores[rows]).mean()) > 0.5 + 1.5 / len(rows) ** 0.5
    shuffled_rate = float((shuffled_scores >= threshold).mean())
    return shuffled_rate, above / len(rows), rises and _are_too_many(above, len(rows))


def _are_too_many(above: int, n_images: int) -> bool:
    from scipy.special import bdtrc  # seldom needed, and half of what a detector's job imports

    return float(bdtrc(above - 1, n_images, RATE)) < SIGNIFICANCE


def check_held_out(
    scorer: Scorer,
    X: Features,
    groups: Sequence[str],
    scores: np.ndarray,
    split: list[np.ndarray],
    seed: int,
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
    split
        Rows of the folds that they come from.
    seed
        Of these folds.

    Returns
    -------
    dict
        groups: their number, None where no image has one. nearest_neighbour_ratio,
        near_duplicates, shuffled_rate, contiguous_rate: None where there are groups or too few
        images; the rates also for scorers that draw random numbers. warnings: one sentence each,
        with the key to set.
    """
    found: dict[str, Any] = {
        "groups": independent_images(groups) if any(groups) else None,
        **dict.fromkeys((*NEIGHBOUR_SIGNS, *RATES)),
        "warnings": [],
    }
    if found["groups"] == 1:
        found["warnings"].append(
            "all training images are of one group: no held-out image is new, and the honest "
            "threshold is too low for other parts; photograph more parts, or mend `groups`"
        )
    if found["groups"] or number_of_images(X) < FEWEST_IMAGES:
        return found
    signs = near_duplicates(X[-1] if isinstance(X, list) else X)
    found |= zip(NEIGHBOUR_SIGNS, signs, strict=True)
    if signs[1] > MANY:
        found["warnings"].append(
            f"{signs[1]:.0%} of the training images have one neighbour far closer "
            f"than the others, as exposures of one part do; {ADVICE}"
        )
    if scorer.draws:
        return found  # their fits take too long to be made twice
    if len(split) != FOLDS:  # scores of as many images are to be compared
        scores = held_out(scorer, X, folds(groups, FOLDS, seed))
    *rates, significant = contiguous_jump(scorer, X, scores)
    found |= zip(RATES, rates, strict=True)
    if significant:
        found["warnings"].append(
            "held-out scores rise when neighbouring images are left out together: "
            f"{rates[1]:.0%} instead of {RATE:.0%} would be called defective; {ADVICE}"
        )
    return found


def _neighbour_distances(X: Layer, count: int) -> np.ndarray:
    """Euclidean distances from each image to its nearest other ones, ascending."""
    total, squared_norms, nearest = 0, [], []
    for _, (part,) in image_blocks(X):
        total += _vectors(part).sum(axis=0)
    mean = total / len(X)
    for _, (part,) in image_blocks(X):
        centred = _vectors(part) - mean
        squared_norms.append(np.einsum("ij,ij->i", centred, centred))
    norms = np.concatenate(squared_norms)
    rows_at_once = max(1, min(BLOCK, MOST_BYTES // (4 * len(mean))))
    for start in range(0, len(X), rows_at_once):
        own = np.arange(start, min(start + rows_at_once, len(X)))
        vectors = _vectors(X[start : own[-1] + 1]) - mean
        squared = norms[own, None] + norms
        for rows, (part,) in image_blocks(X):
            squared[:, rows] -= 2 * vectors @ (_vectors(part) - mean).T
        squared[np.arange(len(own)), own] = np.inf  # to itself
        nearest.append(np.sort(np.partition(squared, count - 1, axis=1)[:, :count], axis=1))
    return np.sqrt(np.maximum(np.concatenate(nearest).astype(np.float64), 0))


def _vectors(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1)
