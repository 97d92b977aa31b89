"""What a detector and its threshold are worth on images of another product, batch or camera."""

from collections.abc import Iterable, Sequence

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.base import Scorer, take_images
from defectbench.studies.levels import frozen_and_reset
from defectbench.studies.results import Level, Settings, Variant, missing_level
from defectbench.studies.trial import Category, trial

MOST_NAMED = 5
"""Groups that an error names."""


def across(
    scorer: Scorer,
    home: Category,
    train: tuple[str, np.ndarray],
    tests: Iterable[tuple[str, Category, np.ndarray]],
    settings: Settings,
) -> list[Level]:
    """Figures of several sets of test images, with the threshold as it is and set anew.

    Parameters
    ----------
    scorer
        With its parameters.
    home
        The category on which it is fitted.
    train
        Name of the training images, and their rows.
    tests
        Name of each set of test images, its category and rows.
    settings
        Threshold and seed.

    Returns
    -------
    list of dict
        For each set a point ``frozen`` and a point ``reset``.
    """
    name, rows = train
    try:
        threshold = trial(scorer, home, rows, home.test, settings).verdict.threshold
    except InputError as error:  # groups of too few images for the scorer, which is an answer too
        return [
            missing_level({"train": name, "level": title, "variant": each}, len(rows), str(error))
            for title, *_ in tests
            for each in (Variant.FROZEN, Variant.RESET)
        ]
    levels: list[Level] = []
    for title, category, shown in tests:
        scores = scorer.anomaly_score(take_images(category.X, shown))
        varied, images = {"train": name, "level": title}, category.judged(shown)
        levels += frozen_and_reset(varied, images, scores, threshold, settings)
    return levels


def fitted_rows(category: Category, groups: Sequence[str]) -> np.ndarray:
    """Training images of these groups; all without any.

    Raises
    ------
    InputError
        If the category has no training image of a group.
    """
    return _of_groups(category, category.train, groups, "training")


def judging_rows(category: Category, groups: Sequence[str]) -> np.ndarray:
    """Test images of these groups; all without any.

    Raises
    ------
    InputError
        If the category has no test image of a group, or the groups' are not of both kinds.
    """
    rows = _of_groups(category, category.test, groups, "test")
    if len(set(category.labels[rows])) < 2:
        raise InputError(
            f"config: studies.across: {category.name}: the test images of the groups "
            f"{', '.join(groups)} are not of both kinds, good and defective; name more groups"
        )
    return rows


def _of_groups(
    category: Category, rows: np.ndarray, groups: Sequence[str], kind: str
) -> np.ndarray:
    if not groups:
        return rows
    there = category.groups[rows]
    if unknown := sorted(set(groups) - set(there)):
        found = sorted(set(there) - {""})
        some = (
            ", ".join(found[:MOST_NAMED]) + ", …" * (len(found) > MOST_NAMED) if found else "none"
        )
        raise InputError(
            f"config: studies.across: {category.name} has no {kind} image of group {unknown[0]!r}; "
            f"its groups of them: {some}"
        )
    return rows[np.isin(there, groups)]
