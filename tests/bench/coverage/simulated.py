"""What a simulated promise is told by: one row per figure, case and method."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.special import betaincinv

from defectbench.evaluation import bootstrap, promises, rates
from defectbench.studies import threshold_error

Interval = tuple[float, float]
Intervals = Mapping[str, Interval | None]

USED = "used"
"""The method of what is printed; the others are there to compare it with."""

ROUNDING = 1e-12


@contextmanager
def quicker(replicates: int = bootstrap.REPLICATES) -> Iterator[None]:
    """With so many replicates of the bootstrap, and SciPy's quantiles of the beta distribution.

    These are to twelve digits the product's own, which has to do without SciPy.
    """
    with ExitStack() as patched:
        patched.enter_context(patch.object(bootstrap, "REPLICATES", replicates))
        for module in (promises, rates, threshold_error):
            patched.enter_context(patch.object(module, "beta_quantile", _beta_quantile))
        yield


def _beta_quantile(a: float, b: float, probability: float) -> float:
    return float(betaincinv(a, b, probability))


class Row(NamedTuple):
    """How often a promise was kept.

    Attributes
    ----------
    figure
        What is promised, in the words of the page.
    case
        What was simulated.
    method
        How the interval was made: `USED`, or another one's name.
    promised, kept
        Share of the simulations in which it is to hold, and did; of those that print a number.
    width
        Mean width of the interval; NaN for what has none.
    told
        Share of the simulations that print a number at all, and not "too few to tell".
    simulations
        Their number; 0 where the shares are exact.
    """

    figure: str
    case: str
    method: str
    promised: float
    kept: float
    width: float
    told: float
    simulations: int


class Tally:
    """Counts, by method, how often intervals hold a truth."""

    def __init__(self, truth: float) -> None:
        self.truth = truth
        self.found: dict[str, list[Interval | None]] = {}

    def add(self, intervals: Intervals) -> None:
        """Count one simulated set of images; None where no number is printed."""
        for method, interval in intervals.items():
            self.found.setdefault(method, []).append(interval)

    def rows(self, figure: str, case: str, promised: float = 0.95) -> list[Row]:
        """A row per method."""
        return [
            self._row(figure, case, method, promised, found) for method, found in self.found.items()
        ]

    def _row(
        self, figure: str, case: str, method: str, promised: float, found: list[Interval | None]
    ) -> Row:
        told = [interval for interval in found if interval is not None]
        kept = [low - ROUNDING <= self.truth <= high + ROUNDING for low, high in told]
        widths = [high - low for low, high in told]
        means = [float(np.mean(each)) if each else float("nan") for each in (kept, widths)]
        return Row(figure, case, method, promised, *means, len(told) / len(found), len(found))
