"""Which detector to take: the one that lets the fewest defects slip through at the rate asked."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from defectbench.evaluation.rates import LEVEL, Z

Difference = tuple[float, float, float]
"""Of two detectors: value, low and high, 95 %."""

ESCAPES, AUROC, STABILITY = "escapes", "auroc", "stability"
"""What detectors may be compared by; the last one where no image is known to be defective."""


class Merits(NamedTuple):
    """What a detector is ranked by.

    Attributes
    ----------
    merit
        The more the better: AUROC, or one less the escape rate at the rate asked for.
    auroc
        Of detectors that are equal in that, the higher one comes first; None where not defined.
    cost
        Of those that are equal in both, the lower one comes first.
    breaks
        Whether its own threshold rejects more good parts than its training images let expect.
    low
        Lower end of the AUROC's interval; None for none.
    found
        Share of the defective images that its own threshold finds.
    """

    merit: float
    auroc: float | None
    cost: float
    breaks: bool = False
    low: float | None = None
    found: float = 1.0


class Choice(NamedTuple):
    """A recommendation.

    Attributes
    ----------
    verdict
        ``clear``: better than every other; ``tied``: no clear difference to some; ``only``: there
        is no other; ``keeps``: no other keeps its promise; ``chance``: none ranks better than
        guessing; ``breaks``: every one rejects more
        good parts than it may; ``none``: nothing was measured.
    recommended
        None for the last three.
    tied
        All detectors without a clear difference to the best one, that one included, best first.
    passed_over
        Those that reject more good parts than they may, best first: no others are compared.
    compared
        How many there are, those included.
    runner_up
        The second of those compared, None if there is none.
    difference
        Best minus runner-up in what they are ranked by, with an interval that holds for the best
        against all others together.
    """

    verdict: str
    recommended: str | None
    tied: list[str]
    passed_over: list[str]
    compared: int
    runner_up: str | None
    difference: Difference | None


def ranked(merits: Mapping[str, Merits]) -> list[str]:
    """Detectors, the best first."""

    def key(name: str) -> tuple[float, float, float]:
        own = merits[name]
        return -own.merit, -(own.auroc or 0), own.cost

    return sorted(merits, key=key)


def choose(
    merits: Mapping[str, Merits], differences: Mapping[tuple[str, str], Difference]
) -> Choice:
    """The best detector that keeps its promise.

    Parameters
    ----------
    merits
        Of each detector.
    differences
        First minus second in merit, low, high (95 %, paired), by the names of both, in either
        order. A pair that is missing counts as no clear difference.
    """
    order = ranked(merits)
    if not order:
        return Choice("none", None, [], [], 0, None, None)
    keeping = [name for name in order if not merits[name].breaks]
    best = (keeping or order)[0]
    others = [name for name in keeping or order if name != best]
    together = {name: simultaneous(differences.get((best, name)), len(others)) for name in others}
    tied = [best, *(name for name in others if not _clear(together[name]))]
    runner_up = others[0] if others else None
    passed_over = [name for name in order if keeping and merits[name].breaks]
    told = tied, passed_over, len(order), runner_up, together.get(runner_up)
    if not keeping:
        return Choice("breaks", None, *told)
    low = merits[best].low
    if low is not None and low <= 0.5:
        return Choice("chance", None, *told)
    if len(tied) > 1:
        return Choice("tied", best, *told)
    alone = "keeps" if passed_over else "only"
    return Choice("clear" if others else alone, best, *told)


def simultaneous(difference: Difference | None, comparisons: int) -> Difference | None:
    """An interval that holds for so many comparisons together (Bonferroni).

    It is that of one comparison, widened as an interval of a normal distribution is.
    """
    if difference is None or comparisons < 2:
        return difference
    value, low, high = difference
    factor = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / comparisons) / Z
    return value, value - factor * (value - low), value + factor * (high - value)


def _clear(difference: Difference | None) -> bool:
    return difference is not None and difference[1] > 0


def compares(found: Sequence[Mapping[str, object]]) -> str:
    """By what detectors are compared: AUROC where one has no escape rate at the rate asked for.

    Parameters
    ----------
    found
        From `at_rate.escapes_at_rate`, of all of them.
    """
    told = all(each["escape_rate"] is not None for each in found)
    return ESCAPES if found and told else AUROC
