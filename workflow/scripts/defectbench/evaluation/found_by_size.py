"""How large a defect has to be to be found: shares by size, and what is found nine times in ten."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.rates import share_interval
from defectbench.images.canvas import Preprocessing, enlargement
from defectbench.images.index import IndexRow
from defectbench.records import Scores

OFTEN = 0.9
"""Share of the defects of a size that counts as found."""

TEN = 10
"""Images from a size on without which nine in ten cannot be seen."""

CLASSES, FEWEST = 4, 5
"""Classes of size at most, and images in each at least."""

SURE = 40.0
"""How much a bet against a hypothesis has to win: by chance it does so in one of 40 cases at most,
at either end of an interval."""

BETS_FOR, BETS_AGAINST = (1.0, 0.97), (0.3, 0.7)
"""Shares found that are bet on, half of the stake each, against at most and at least `OFTEN`."""


class Defects(NamedTuple):
    """Defective images with a mask.

    Attributes
    ----------
    pixels
        Marked pixels of each image, (n_images,).
    seen
        The same in pixels of what the network sees.
    found
        bool: whether its score reaches the threshold.
    groups
        '' is a group of its own.
    """

    pixels: np.ndarray
    seen: np.ndarray
    found: np.ndarray
    groups: np.ndarray


def measured_defects(
    test: Scores, rows: Sequence[IndexRow], preprocessing: Preprocessing, threshold: float | None
) -> Defects:
    """Those of the test images.

    Parameters
    ----------
    test
        Their scores.
    rows
        Of the index, in the same order.
    preprocessing
        From `images.canvas.with_canvas`; empty for features made elsewhere.
    threshold
        Scores from here on are called defective; None where there is none.
    """
    masked = [number for number, row in enumerate(rows) if row.defect_pixels and preprocessing]
    pixels = np.array([rows[number].defect_pixels for number in masked], float)
    seen = [enlargement(preprocessing, rows[n].height, rows[n].width) for n in masked]
    called = test.scores[masked] >= (np.inf if threshold is None else threshold)
    return Defects(pixels, pixels * np.array(seen), called, test.groups[masked])


def found_by_size(defects: Defects) -> dict[str, Any] | None:
    """What ``metrics.json`` says of the sizes that are found.

    Returns
    -------
    dict or None
        ``classes``: from the smallest on, each with ``pixels`` and ``seen`` (the smallest and the
        largest area), ``images``, ``found`` and ``found_rate_interval``. ``often``: the smallest
        area that is found nine times in ten as ``pixels`` and ``seen``, each with a ``…_interval``,
        from `often_found`. None where fewer images than two
        classes take have a mask.
    """
    if len(defects.pixels) < 2 * FEWEST:
        return None
    order = np.argsort(defects.pixels, kind="stable")
    number = min(CLASSES, len(order) // FEWEST)
    classes = [_size_class(defects, rows) for rows in np.array_split(order, number)]
    value, low, high = often_found(defects.pixels, defects.found, defects.groups)
    ratio = float(np.median(defects.seen / defects.pixels))
    return {
        "classes": classes,
        "often": {
            "pixels": value,
            "pixels_interval": (low, high),
            "seen": _times(value, ratio),
            "seen_interval": (_times(low, ratio), _times(high, ratio)),
        },
    }


def _size_class(defects: Defects, rows: np.ndarray) -> dict[str, Any]:
    ends = {
        name: [float(values[rows].min()), float(values[rows].max())]
        for name, values in (("pixels", defects.pixels), ("seen", defects.seen))
    }
    own, groups = defects.found[rows], defects.groups[rows]
    interval = share_interval(own, groups)
    return {**ends, "images": len(rows), "found": int(own.sum()), "found_rate_interval": interval}


def _times(value: float | None, ratio: float) -> float | None:
    return None if value is None else value * ratio


def often_found(
    pixels: np.ndarray, found: np.ndarray, groups: np.ndarray
) -> tuple[float | None, float | None, float | None]:
    """The smallest area that is found nine times in ten, and its 95 % interval.

    Supposed is no more than that larger defects are found no less often. Where an area is found
    less often than nine times in ten, so are all smaller ones: if these win a bet on being found,
    from the largest of them down, the limit lies below. In the same way missed defects from an area
    up tell that the limit lies above. Such bets hold whatever the number of defects (Shafer,
    "Testing by betting", Journal of the Royal Statistical Society A 184, 2021); in a group each
    image bets its share, so that a group wins no more than one image.

    Parameters
    ----------
    pixels, found, groups
        As in `Defects`.

    Returns
    -------
    tuple of float or None
        The area, by isotonic regression, None where no ten images show one; and both ends, None
        for what these images do not limit.
    """
    order = np.lexsort((found, pixels))  # of equal areas the missed ones count as the smaller
    sizes, hits = pixels[order], found[order]
    numbers = group_numbers(groups[order])
    weights = 1 / np.bincount(numbers)[numbers]
    below = [_wins(hits[place::-1], weights[place::-1], BETS_FOR) for place in range(len(hits))]
    above = [_wins(hits[place:], weights[place:], BETS_AGAINST) for place in range(len(hits))]
    # of all areas that are not refuted, the smallest and the largest
    left = np.flatnonzero(~np.array(above))
    right = np.flatnonzero(~np.array(below))
    first, last = left[0] if len(left) else len(hits), right[-1] if len(right) else -1
    low = float(sizes[first - 1]) if first else None
    high = float(sizes[last + 1]) if last + 1 < len(hits) else None
    reached = np.flatnonzero(_rising_mean(hits, weights)[: 1 - TEN] >= OFTEN)
    value = float(sizes[reached[0]]) if len(reached) else None
    if value is not None and low is not None:
        value = max(value, low)
    return (high if value is None or (high is not None and high < value) else value), low, high


def _wins(hits: np.ndarray, weights: np.ndarray, bets: tuple[float, float]) -> bool:
    """Whether a bet on so many found, image by image, is ever worth `SURE` times its stake."""
    with np.errstate(divide="ignore"):  # a bet on all found is lost with the first that is missed
        gains = [
            np.where(hits, np.log(bet / OFTEN), np.log((1 - bet) / (1 - OFTEN))) for bet in bets
        ]
    worth = [np.exp(np.cumsum(weights * gain)) for gain in gains]
    return bool((np.mean(worth, axis=0) >= SURE).any())


def _rising_mean(hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Isotonic regression: the shares nearest to the hits that do not fall."""
    pools: list[tuple[float, float, int]] = []
    for hit, weight in zip(hits.astype(float), weights, strict=True):
        pools.append((hit, weight, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (first, one, images), (second, other, more) = pools.pop(-2), pools.pop()
            mean = (first * one + second * other) / (one + other)
            pools.append((mean, one + other, images + more))
    return np.repeat([mean for mean, _, _ in pools], [images for _, _, images in pools])
