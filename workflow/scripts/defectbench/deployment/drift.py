"""Figures of an image that say whether it was taken like the training images."""

from collections.abc import Mapping, Sequence
from math import exp, sqrt
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.rates import rate_interval


class ImageStatistics(NamedTuple):
    """Figures of one image.

    Attributes
    ----------
    brightness
        Mean grey value, 0 to 255.
    sharpness
        Mean absolute difference of grey values between neighbours, at network size.
    width, height
        In pixels, before the resize.
    """

    brightness: float
    sharpness: float
    width: int
    height: int


def image_statistics(pixels: np.ndarray, size: tuple[int, int]) -> ImageStatistics:
    """Figures of an image of network size, uint8, (side, side, 3), that came in `size`."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1) if grey.shape[axis] > 1]
    sharpness = float(np.mean(steps)) if steps else 0.0
    return ImageStatistics(float(grey.mean()), sharpness, *size)


def training_ranges(statistics: list[ImageStatistics]) -> dict[str, list[float]]:
    """Smallest and largest of each figure; and as often the number of images."""
    ends = [[min(values), max(values)] for values in zip(*statistics, strict=True)]
    ranges = dict(zip(ImageStatistics._fields, ends, strict=True))
    return {**ranges, "images": [len(statistics)] * 2}


SIGNIFICANT = 0.01
"""p-value below which scores are said to differ: of a hundred ordinary days one is named."""

EXPORTED = {"scores": "held-out good images", "ranges": "the training images"}
CALIBRATED = dict.fromkeys(EXPORTED, "the good parts of the calibration")
"""What new images are compared with: `same_world`'s ``compared_with``."""

FEWEST = 20
"""Images below which nothing is concluded."""


def kolmogorov_smirnov(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Largest distance between two samples' distribution functions, and its p-value.

    The p-value is Kolmogorov's limit at (√m + 0.12 + 0.11/√m) D, m = |a||b| / (|a| + |b|)
    (Stephens, "Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics without
    extensive tables", JRSS B 1970).
    """
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    shares = [np.searchsorted(sample, both, "right") / len(sample) for sample in (a, b)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    root = sqrt(len(a) * len(b) / len(both))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # where the series converges slowly the p-value is 1 to twelve digits
        return distance, 1.0
    terms = [(-1) ** (k - 1) * exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
    return distance, float(min(max(2 * sum(terms), 0), 1))


def same_world(
    scores: Sequence[float],
    defective: int,
    expectation: Mapping[str, Any],
    statistics: Sequence[ImageStatistics],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Compare new images with those that the detector's threshold comes from.

    Parameters
    ----------
    scores
        Of the new images.
    defective
        How many of them were called so.
    expectation
        Of the threshold: ``false_positive_rate`` that was asked for, ``rate_range``.
    statistics
        Of the new images.
    metadata
        Of the detector: ``held_out_scores`` of good images, and ``training_images``, from
        `training_ranges`; of a calibrated one ``calibration`` with the ``ranges`` of its parts.

    Returns
    -------
    dict
        ``above``: count, share, interval, rate and rate_range; ``scores``: statistic and p_value;
        ``outside``: per figure, the count of images outside the range of those compared with;
        ``differences``: sentences, empty if nothing differs; ``advice``; ``compared_with``: whose
        ``scores`` and whose ``ranges`` these are.
    """
    total = len(scores)
    share = defective / total
    interval = rate_interval(share, total)
    distance, p_value = kolmogorov_smirnov(scores, metadata["held_out_scores"])
    calibration = metadata.get("calibration")
    outside, ranges = {}, calibration["ranges"] if calibration else metadata["training_images"]
    compared_with = CALIBRATED if calibration else EXPORTED
    for name, values in zip(ImageStatistics._fields, zip(*statistics, strict=True), strict=True):
        low, high = ranges[name]
        outside[name] = sum(not low <= value <= high for value in values)
    differences = []
    rate, (_, most) = expectation["false_positive_rate"], expectation["rate_range"]
    if interval[0] > most:
        differences.append(
            f"more images are above the threshold than the {most:.1%} of good ones that are to be "
            f"expected at most ({rate:.1%} asked): defects, or another world"
        )
    if p_value < SIGNIFICANT:
        differences.append(f"the scores are not distributed as those of {compared_with['scores']}")
    # one of n + 1 exchangeable values is the smallest of all, one the largest
    expected = 2 / (ranges["images"][0] + 1)
    differences += [
        f"{name}: {number} of {total} images are outside the range of {compared_with['ranges']}"
        for name, number in outside.items()
        if rate_interval(number / total, total)[0] > expected
    ]
    return {
        "above": {
            "count": defective,
            "share": share,
            "interval": interval,
            "rate": rate,
            "rate_range": expectation["rate_range"],
        },
        "scores": {"statistic": distance, "p_value": p_value},
        "outside": outside,
        "differences": differences,
        "advice": _advice(total, defective, differences),
        "compared_with": compared_with,
    }


def _advice(total: int, defective: int, differences: list[str]) -> str:
    if total < FEWEST:
        return f"too few images to tell whether anything has changed: {total} of {FEWEST}"
    if not differences:
        return "nothing speaks against the threshold: the images look like those that it comes from"
    recalibrate = (
        "set the threshold on confirmed good parts of today (make calibrate), or add them to the "
        "training images and export the detector again"
    )
    if not defective:
        return (
            "no image reaches the threshold, and a defect might not either: if parts, light or "
            f"lens have changed, recalibrate: {recalibrate}"
        )
    return (
        "look at the images that were called defective; if most are good parts, recalibrate: "
        f"{recalibrate}"
    )
