"""Images that lie together, apart from all others, as photographs of one part do.

Around a point of an even spread of D dimensions, the volumes of the balls up to its j-th and to its
(j + 1)-th neighbour have a ratio with j D log(r_{j+1} / r_j) exponentially distributed, with mean
one, whatever the density there (Facco, d'Errico, Rodriguez and Laio, "Estimating the intrinsic
dimension of datasets by a minimal neighborhood information", Scientific Reports 2017, has j = 1).
Where j others lie together with an image, the step to the next one is far larger. The image's own
median over all j stands for 1 / D: neither scale nor dimension has to be known, and nothing is
said of images that merely spread wider than others. How often this is wrong: reports/groups.md.
"""

import numpy as np

from defectbench.memory import BLOCK_BYTES
from defectbench.scorers.layers import Layer, image_blocks

FEWEST_IMAGES = 20
"""Of fewer, too few neighbours say what a usual step is."""

SEVERAL = 8
"""A cluster holds at most one image in so many, and one more: of fewer and larger clusters, each
may be a kind of part, of which further images are, too."""

USUAL = 500
"""Neighbours that say what a usual step is, at most."""

FAR = 1.3
"""Steps beyond so many times the largest that is likely among all of them set a cluster apart."""

SHARE, FEWEST_ALIKE = 0.05, 3
"""Images with such steps below which nothing is said: a few come about by chance."""

TOGETHER = 2.5
"""Half of the images having a step beyond so many times its median are in groups of one size."""

ANCHORS = 1000
"""Images whose neighbours are looked at, at most."""

BLOCK = 1024
"""Images whose distances to all others are computed at once, unless their features are large."""

MOST_BYTES = 4 * BLOCK_BYTES
"""Of the features of these images: the more there are, the fewer times all others are read."""


def look_alikes(X: Layer) -> list[np.ndarray]:
    """Clusters of images that are far more alike than the others.

    Parameters
    ----------
    X
        Features of one layer, (n_images, …).

    Returns
    -------
    list of ndarray
        Rows of each cluster, ascending; the largest first. Empty where hardly any image is in one,
        and of a single cluster, which may be a rare kind of part.
    """
    count = len(X)
    if count < FEWEST_IMAGES:
        return []
    largest = max(2, min(count // SEVERAL, USUAL // 2))
    anchors = np.unique(np.linspace(0, count - 1, min(count, ANCHORS)).astype(int))
    distances, neighbours = nearest(X, anchors, min(max(count // 2, 6), count - 2, USUAL) + 1)
    steps = _steps(distances)
    found = [*_apart(steps[:, :largest]), *_together(steps[:, :largest], anchors, neighbours)]
    clusters = _joined([[anchors[row], *neighbours[row, :others]] for row, others in found])
    return clusters if len(clusters) > 1 else []


def _steps(distances: np.ndarray) -> np.ndarray:
    """Steps from each neighbour to the next: exponential, with mean one, in an even spread."""
    logarithms = np.log(distances)
    steps = np.arange(1, distances.shape[1]) * np.diff(logarithms, axis=1)
    usual = np.median(steps, axis=1, keepdims=True) / np.log(2)
    return steps / np.maximum(usual, np.finfo(np.float32).tiny)


def _apart(steps: np.ndarray) -> list[tuple[int, int]]:
    """Images with a step that is too large for all steps, and how many neighbours it follows."""
    likely = np.log(steps.size)  # of so many exponential ones
    found = np.flatnonzero(steps.max(axis=1) > FAR * likely)
    if len(found) < max(FEWEST_ALIKE, SHARE * len(steps)):
        return []
    return [(row, int(steps[row].argmax()) + 1) for row in found]


def _together(
    steps: np.ndarray, anchors: np.ndarray, neighbours: np.ndarray
) -> list[tuple[int, int]]:
    """Images in groups of one size whose members are each other's nearest images, and that size.

    One step may be small; that half of all images take a larger one behind as many neighbours is
    no chance.
    """
    medians = np.median(steps, axis=0)
    others = int(medians.argmax()) + 1
    if medians.max() <= TOGETHER * np.log(2):
        return []
    own = np.concatenate([anchors[:, None], neighbours[:, :others]], axis=1)
    group_of = dict(zip(anchors.tolist(), map(frozenset, own.tolist()), strict=True))
    return [
        (row, others)
        for row, group in enumerate(group_of.values())
        if all(group_of.get(member, group) == group for member in group)
    ]


def _joined(clusters: list[list[int]]) -> list[np.ndarray]:
    """Clusters that share images as one."""
    joined: list[set[int]] = []
    for cluster in clusters:
        own = set(map(int, cluster))
        apart = [other for other in joined if not own & other]
        joined = [*apart, own.union(*(other for other in joined if own & other))]
    return sorted((np.array(sorted(own)) for own in joined), key=lambda own: (-len(own), own[0]))


def nearest(X: Layer, anchors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest other images of some images.

    Returns
    -------
    distances : ndarray
        Euclidean, float64, (n_anchors, count), ascending; no smaller than what rounding leaves of
        a difference between float32 features.
    neighbours : ndarray
        Their rows.
    """
    total, squared_norms = 0, []
    for _, (part,) in image_blocks(X):
        total += _vectors(part).sum(axis=0)
    mean = total / len(X)
    for _, (part,) in image_blocks(X):
        centred = _vectors(part) - mean
        squared_norms.append(np.einsum("ij,ij->i", centred, centred))
    norms = np.concatenate(squared_norms)
    rows_at_once = max(1, min(BLOCK, MOST_BYTES // (4 * len(mean))))
    distances, neighbours = [], []
    for start in range(0, len(anchors), rows_at_once):
        own = anchors[start : start + rows_at_once]
        vectors = _vectors(X.take(own, axis=0)[: len(own)]) - mean
        squared = norms[own, None] + norms
        for rows, (part,) in image_blocks(X):
            squared[:, rows] -= 2 * vectors @ (_vectors(part) - mean).T
        squared[np.arange(len(own)), own] = np.inf  # to itself
        order = np.argsort(squared, axis=1, kind="stable")[:, :count]
        neighbours.append(order)
        distances.append(np.take_along_axis(squared, order, axis=1))
    squares = np.concatenate(distances).astype(np.float64)
    rounding = 8 * np.finfo(np.float32).eps * max(float(norms.mean()), np.finfo(np.float32).tiny)
    return np.sqrt(np.maximum(squares, rounding)), np.concatenate(neighbours)


def _vectors(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1)
