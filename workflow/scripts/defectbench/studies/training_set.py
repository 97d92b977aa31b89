"""What fewer training images do, or defective ones among them."""

from collections.abc import Callable, Sequence

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.held_out import trim
from defectbench.scorers.base import Scorer
from defectbench.studies.trial import (
    Category,
    Level,
    Settings,
    Trial,
    level,
    missing_level,
    trial,
)

ALL = "all"


def training_size(
    scorer: Scorer,
    category: Category,
    sizes: Sequence[int | str],
    repeats: int,
    settings: Settings,
    done: Callable[[int], None],
) -> list[Level]:
    """A detector fitted on more and more images, each size several times.

    Sizes beyond the images that there are, and those whose subsets are a larger size's because
    groups are whole, are points without figures that say so.

    Parameters
    ----------
    scorer
        With its parameters.
    category
        Its images.
    sizes
        Numbers of training images, or ``all``.
    repeats
        Draws of each size but ``all``, of which there is one.
    settings
        Threshold and seed.
    done
        Called with a number of finished fits.
    """
    groups = category.groups[category.train]
    numbers = sorted(size for size in sizes if size != ALL)
    drawn = [nested_subsets(groups, numbers, [settings.seed, r]) for r in range(repeats)]
    levels: list[Level] = []
    for place, size in enumerate(numbers):
        subsets = [category.train[draw[place]] for draw in drawn]
        later = [
            list(map(len, each)) for each in zip(*(d[place + 1 :] for d in drawn), strict=True)
        ]
        if size >= len(category.train):
            reason = f"there are {len(category.train)} training images"
            levels.append(missing_level({"level": size}, size, reason))
        elif list(map(len, subsets)) in later:
            same = numbers[place + 1 + later.index(list(map(len, subsets)))]
            reason = f"groups are whole: the same images as {same}"
            levels.append(missing_level({"level": size}, size, reason))
        else:
            levels.append(_size_level(scorer, category, size, subsets, settings))
        done(repeats)
    if ALL in sizes:
        levels.append(_size_level(scorer, category, ALL, [category.train], settings))
        done(1)
    return levels


def _size_level(
    scorer: Scorer,
    category: Category,
    size: int | str,
    subsets: Sequence[np.ndarray],
    settings: Settings,
) -> Level:
    trials: list[Trial] = []
    for rows in subsets:
        try:
            trials.append(trial(scorer, category, rows, category.test, settings))
        except InputError as error:  # too few for the scorer, which is an answer too
            return missing_level({"level": size}, len(rows), str(error))
    point = level({"level": size}, trials, category, settings.seed)
    return point | {"images": float(np.mean([len(rows) for rows in subsets]))}  # before trimming


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
    together = np.cumsum(counts[order])
    taken = np.minimum(np.searchsorted(together, sizes) + 1, len(order))
    return [np.flatnonzero(np.isin(numbers, order[:number])) for number in taken]


PLAIN, TRIMMED = "plain", "trimmed"

MOST_MOVED = 2 / 3
"""Share of the defective test images that may leave the test set: the others have to judge."""


def contamination(
    scorer: Scorer,
    category: Category,
    shares: Sequence[float],
    repeats: int,
    removed_from_test: bool,
    trimmed: float,
    settings: Settings,
    done: Callable[[int], None],
) -> list[Level]:
    """A detector fitted on good images and some defective ones that nobody noticed.

    Parameters
    ----------
    scorer
        With its parameters.
    category
        Its images.
    shares
        Of defective images among the training images.
    repeats
        Draws of the defective images; those of a smaller share are among those of a larger.
    removed_from_test
        Whether they leave the test set. Then those of the largest share leave it at every share,
        so that all shares of a repeat are judged on the same images.
    trimmed
        Share of the training images that the remedy leaves out.
    settings
        Threshold and seed; their `trimmed` does not count, both ways are shown.
    done
        Called with a number of finished fits.

    Returns
    -------
    list of dict
        For each share a point ``plain`` and a point ``trimmed``.
    """
    defective = category.test[category.labels[category.test] == 1]
    most = int(MOST_MOVED * len(defective)) if removed_from_test else len(defective)
    counts = {share: defective_images(len(category.train), share) for share in sorted(shares)}
    largest = max((count for count in counts.values() if count <= most), default=0)
    orders = [
        np.random.default_rng([settings.seed, repeat]).permutation(defective)
        for repeat in range(repeats)
    ]
    levels: list[Level] = []
    for share, count in counts.items():
        varied = [{"level": share, "variant": variant} for variant in (PLAIN, TRIMMED)]
        if count > most:
            reason = f"needs {count} defective images; {most} of {len(defective)} can be spared"
            found = [missing_level(each, len(category.train) + count, reason) for each in varied]
        else:
            pairs = []
            for order in orders:
                fitted_on = np.concatenate([category.train, order[:count]])
                gone = order[:largest] if removed_from_test else order[:0]
                judged_on = np.setdiff1d(category.test, gone)
                pairs.append(_pair(scorer, category, fitted_on, judged_on, trimmed, settings))
                done(1)
            found = [
                _share_level(each, trials, category, settings)
                for each, trials in zip(varied, zip(*pairs, strict=True), strict=True)
            ]
        levels += found
    return levels


def _pair(
    scorer: Scorer,
    category: Category,
    fitted_on: np.ndarray,
    judged_on: np.ndarray,
    trimmed: float,
    settings: Settings,
) -> tuple[Trial | str, Trial | str]:
    """Without and with the remedy; a reason in place of what cannot be fitted."""
    settings = settings._replace(trimmed=0)
    try:
        plain = trial(scorer, category, fitted_on, judged_on, settings)
    except InputError as error:
        return str(error), str(error)
    kept = plain.fitted_on[trim(plain.held_out_scores, trimmed)]
    try:
        return plain, trial(scorer, category, kept, judged_on, settings)
    except InputError as error:
        return plain, str(error)


def _share_level(
    varied: dict[str, float | str],
    trials: Sequence[Trial | str],
    category: Category,
    settings: Settings,
) -> Level:
    reasons = [each for each in trials if isinstance(each, str)]
    if reasons:
        return missing_level(varied, len(category.train), reasons[0])
    return level(varied, trials, category, settings.seed)


def defective_images(good: int, share: float) -> int:
    """Defective images that make up a share of a training set with so many good ones."""
    return round(share * good / (1 - share))
