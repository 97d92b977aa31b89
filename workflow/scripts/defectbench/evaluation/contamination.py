"""What defective images among the training images do, and whether trimming is a remedy."""

from collections.abc import Callable, Sequence

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.studies import (
    Category,
    Level,
    Settings,
    Trial,
    level,
    missing_level,
    trial,
)
from defectbench.evaluation.trimming import trim
from defectbench.scorers.base import Scorer

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
                _level(each, trials, category, settings)
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


def _level(
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
