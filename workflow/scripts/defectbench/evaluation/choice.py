"""Which detector to take: the best by AUROC, or of those that it does not clearly beat, one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Difference = tuple[float, float, float]


class Choice(NamedTuple):
    """A recommendation.

    Attributes
    ----------
    verdict
        ``clear``: better than every other; ``tied``: no clear difference to some; ``only``: there
        is no other; ``chance``: none ranks better than guessing; ``none``: nothing was measured.
    recommended
        None for the last two.
    tied
        All detectors without a clear difference to the best one, that one included, best first.
    runner_up
        The second in AUROC, None if there is none.
    difference
        Best minus runner-up in AUROC, with its 95 % interval.
    """

    verdict: str
    recommended: str | None
    tied: list[str]
    runner_up: str | None
    difference: Difference | None


def choose(
    auroc: Mapping[str, tuple[float, float | None]],
    differences: Mapping[tuple[str, str], Difference],
    prefer: Mapping[str, Any],
) -> Choice:
    """The detector with the best AUROC, or the preferred one of those it does not clearly beat.

    Parameters
    ----------
    auroc
        AUROC of each detector and the lower end of its 95 % interval, None for none.
    differences
        First minus second in AUROC, low, high (95 %, paired), by the names of both, in either
        order. A pair that is missing counts as no clear difference.
    prefer
        By detector, what tied ones are ordered by, the smallest first.
    """
    ranked = sorted(auroc, key=lambda name: -auroc[name][0])
    if not ranked:
        return Choice("none", None, [], None, None)
    best, others = ranked[0], ranked[1:]
    runner_up = others[0] if others else None
    difference = differences.get((best, runner_up))
    tied = [best, *(name for name in others if not _clear(differences.get((best, name))))]
    low = auroc[best][1]
    if low is not None and low <= 0.5:
        return Choice("chance", None, tied, runner_up, difference)
    if len(tied) > 1:
        return Choice("tied", min(tied, key=prefer.__getitem__), tied, runner_up, difference)
    return Choice("clear" if others else "only", best, tied, runner_up, difference)


def preference(balanced_accuracy: Mapping[str, float | None]) -> dict[str, float]:
    """What orders detectors that AUROC does not tell apart, the smallest first.

    The one with the fewest errors of both kinds at its honest threshold (balanced accuracy) comes
    first. Times do not decide: they differ from run to run, and the answer must not.
    """
    return {
        name: 1.0 if accuracy is None else 1 - accuracy
        for name, accuracy in balanced_accuracy.items()
    }


def _clear(difference: Difference | None) -> bool:
    return difference is not None and difference[1] > 0
