"""How many defect-free images a detector needs: fitted on nested subsets of them."""

from collections.abc import Callable, Sequence

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.resampling import group_numbers
from defectbench.evaluation.studies import (
    Category,
    Level,
    Settings,
    Trial,
    level,
    missing_level,
    trial,
)
from defectbench.scorers.base import Scorer

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
            levels.append(_level(scorer, category, size, subsets, settings))
        done(repeats)
    if ALL in sizes:
        levels.append(_level(scorer, category, ALL, [category.train], settings))
        done(1)
    return levels


def _level(
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
