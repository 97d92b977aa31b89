"""Two studies of one shape: fewer training images, or defective ones among them.

Each draws the training images of its points several times, fits the detector on every draw, and
takes means. `POINTS` holds what differs, the draws.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.bootstrap import group_numbers, independent_images
from defectbench.evaluation.held_out import trim
from defectbench.progress import Progress
from defectbench.scorers.base import Scorer
from defectbench.studies.levels import level
from defectbench.studies.results import ALL, Level, Settings, Variant, missing_level
from defectbench.studies.trial import Category, Trial, trial

MOST_MOVED = 2 / 3
"""Share of the defective test images that may leave the test set: the others have to judge."""

Draw = tuple[np.ndarray, np.ndarray]
"""Rows of a category that a detector is fitted on, and those that judge it."""


class Point(NamedTuple):
    """A point before it is measured.

    Attributes
    ----------
    varied
        Its ``level``, a number of training images (or ``all``) or a share of defective ones; its
        ``variant`` where the study has a remedy.
    draws
        One for each repeat.
    reason
        Why it cannot be measured; empty if nothing speaks against it.
    images
        Training images that it would take, for a point that is not measured.
    share
        Of the images that there are to draw from, how large a part a draw takes.
    """

    varied: Mapping[str, Any]
    draws: Sequence[Draw]
    reason: str = ""
    images: int = 0
    share: float = 0.0


def effective_settings(
    study: str, block: Mapping[str, Any], settings: Settings
) -> tuple[Mapping[str, Any], Settings]:
    """A study's block of the config and its settings, as far as they depend on each other.

    Contamination shows a detector without and with trimming: the share of a method that trims
    takes the place of the study's, and is not applied twice.
    """
    if study != "contamination":
        return block, settings
    return {**block, "trimmed": settings.trimmed or block["trimmed"]}, settings._replace(trimmed=0)


def training_set_levels(
    study: str,
    scorer: Scorer,
    category: Category,
    block: Mapping[str, Any],
    settings: Settings,
    label: str,
) -> list[Level]:
    """All points of a study, in its order.

    Parameters
    ----------
    study
        A key of `POINTS`.
    scorer
        With its parameters.
    category
        Its images.
    block, settings
        From `effective_settings`.
    label
        What is being done, for the terminal.

    Returns
    -------
    list of dict
        A point for each number of images; for each share a point ``plain`` and a point
        ``trimmed``.
    """
    points = POINTS[study](category, block, settings.seed)
    trimmed = block.get("trimmed")  # training size has no remedy
    fits = sum(len(point.draws) for point in points if not point.reason) * (2 if trimmed else 1)
    measure = partial(_measure, scorer, category, settings, Progress(fits, label, "fits"))
    levels: list[Level] = []
    for point in points:
        found, trials = measure(point)
        levels.append(found)
        if trimmed:
            levels.append(measure(_with_remedy(point, found, trials, trimmed))[0])
    return levels


def _measure(
    scorer: Scorer, category: Category, settings: Settings, progress: Progress, point: Point
) -> tuple[Level, list[Trial]]:
    """A point's figures, and its trials; none where a draw has too few images for the scorer."""
    if point.reason:
        return missing_level(point.varied, point.images, point.reason), []
    trials = []
    for fitted_on, judged_on in point.draws:
        try:
            trials.append(trial(scorer, category, fitted_on, judged_on, settings))
        except InputError as error:  # which is an answer too
            return missing_level(point.varied, len(fitted_on), str(error)), []
        progress.advance(1)
    counts = [len(fitted_on) for fitted_on, _ in point.draws]
    groups = [independent_images(category.groups[fitted_on]) for fitted_on, _ in point.draws]
    varied = {**point.varied, "groups": float(np.mean(groups))}
    verdicts = [each.verdict for each in trials]
    found = level(varied, float(np.mean(counts)), verdicts, settings.seed, point.share)
    for repeat, each in zip(found["repeats"], trials, strict=True):
        repeat["images"] = len(each.fitted_on)
    return found, trials


def _with_remedy(point: Point, found: Level, trials: Sequence[Trial], trimmed: float) -> Point:
    """The same draws without the share of the training images of the highest held-out scores.

    Where the point could not be measured, the remedy cannot be either, for the same reason.
    """
    draws = [
        (each.fitted_on[trim(each.held_out_scores, trimmed)], each.judged_on) for each in trials
    ]
    varied = {**point.varied, "variant": Variant.TRIMMED}
    return Point(varied, draws, found["reason"], int(found["images"]), point.share)


def training_sizes(category: Category, block: Mapping[str, Any], seed: int) -> list[Point]:
    """Points of training size: each number of images drawn several times, ``all`` once.

    Numbers beyond the images that there are are not measured, nor those whose draws are the same
    as a larger number's because groups are whole.
    """
    groups = category.groups[category.train]
    sizes = sorted(size for size in block["images"] if size != ALL)
    repeats = [nested_subsets(groups, sizes, [seed, r]) for r in range(block["repeats"])]
    subsets = dict(zip(sizes, zip(*repeats, strict=True), strict=True))
    counts = {size: [len(rows) for rows in drawn] for size, drawn in subsets.items()}
    points = []
    for size, drawn in subsets.items():
        reason = ""
        if size >= len(category.train):
            reason = f"there are {len(category.train)} training images"
        elif same := [other for other in sizes if other > size and counts[other] == counts[size]]:
            reason = f"groups are whole: the same images as {same[0]}"
        draws = [(category.train[rows], category.test) for rows in drawn]
        share = float(np.mean(counts[size])) / len(category.train)
        points.append(Point({"level": size}, draws, reason, size, share))
    if ALL in block["images"]:
        points.append(Point({"level": ALL}, [(category.train, category.test)]))
    return points


def nested_subsets(
    groups: np.ndarray, sizes: Sequence[int], seed: int | Sequence[int]
) -> list[np.ndarray]:
    """Subsets of which each holds the smaller ones; groups are whole.

    Groups come in an order drawn by the seed, until there are as many images as asked for.

    Parameters
    ----------
    groups
        str, (n_images,); '' is a group of its own.
    sizes
        Numbers of images, ascending.
    seed
        Of the order.

    Returns
    -------
    list of ndarray
        Rows of each subset, ascending; never fewer than asked for, unless there are no more.
    """
    numbers = group_numbers(groups)
    counts = np.bincount(numbers)
    order = np.random.default_rng(seed).permutation(len(counts))
    images_so_far = np.cumsum(counts[order])
    taken = np.minimum(np.searchsorted(images_so_far, sizes) + 1, len(order))
    return [np.flatnonzero(np.isin(numbers, order[:number])) for number in taken]


def contaminated_sets(category: Category, block: Mapping[str, Any], seed: int) -> list[Point]:
    """Points of contamination: all good training images, and defective ones drawn from the test.

    The images of a smaller share are among those of a larger. With `removed_from_test` the
    images of the largest share leave the test set at every share, so that all shares of a repeat
    are judged on the same images. Shares that take more images than can be spared are not
    measured.
    """
    defective = category.test[category.labels[category.test] == 1]
    removed = block["removed_from_test"]
    most = int(MOST_MOVED * len(defective)) if removed else len(defective)
    good = len(category.train)
    counts = {share: defective_images(good, share) for share in sorted(block["shares"])}
    largest = max((count for count in counts.values() if count <= most), default=0)
    gone = largest if removed else 0
    orders = [
        np.random.default_rng([seed, repeat]).permutation(defective)
        for repeat in range(block["repeats"])
    ]
    points = []
    for share, count in counts.items():
        reason = f"needs {count} defective images; {most} of {len(defective)} can be spared"
        draws = [
            (
                np.concatenate([category.train, order[:count]]),
                np.setdiff1d(category.test, order[:gone]),
            )
            for order in orders
        ]
        varied = {"level": share, "variant": Variant.PLAIN}
        reason, taken = reason if count > most else "", count / len(defective)
        points.append(Point(varied, draws, reason, good + count, taken))
    return points


def defective_images(good: int, share: float) -> int:
    """Defective images that make up a share of a training set with so many good ones."""
    return round(share * good / (1 - share))


POINTS = {"training_size": training_sizes, "contamination": contaminated_sets}
