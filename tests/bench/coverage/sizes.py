"""How often the interval of the size that is found nine times in ten holds it."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats
from simulated import Row, Tally

from defectbench.evaluation.found_by_size import OFTEN, often_found

FIGURE = "size found nine times in ten, doublings of the area"
GRID = np.linspace(-5, 40, 450_001)

CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logistic, steep": lambda x: 1 / (1 + np.exp(-3 * (x - 8))),
    "logistic, flat": lambda x: 1 / (1 + np.exp(-(x - 8))),
    "probit": lambda x: stats.norm.cdf((x - 8) / 1.5),
    "extreme value": lambda x: np.exp(-np.exp(-(x - 8) / 1.2)),
    "3 % never found": lambda x: 0.97 / (1 + np.exp(-2 * (x - 8))),
    "7 % never found": lambda x: 0.93 / (1 + np.exp(-2 * (x - 8))),
    "a step": lambda x: np.where(x > 8.3, 0.98, 0.05),
}
"""By name: the chance of a defect of so many doublings of a pixel's area."""


def rows(trials: int) -> Iterator[Row]:
    """Of defects alone, and of four photographs of each that are found or missed together."""
    for name, curve in CURVES.items():
        truth = float(GRID[np.argmax(curve(GRID) >= OFTEN)])
        for count, photographs in ((20, 1), (40, 1), (63, 1), (150, 1), (300, 1), (63, 4)):
            tally = Tally(truth)
            for seed in range(trials):
                rng = np.random.default_rng([count, seed])
                sizes = np.repeat(rng.normal(9, 1.5, count), photographs)
                found = np.repeat(rng.random(count), photographs) < curve(sizes)
                groups = np.repeat(np.arange(count).astype(str), photographs)
                _, low, high = often_found(2**sizes, found, groups)
                ends = (
                    open_end if end is None else float(np.log2(end))
                    for end, open_end in ((low, -np.inf), (high, np.inf))
                )
                tally.add({"used": tuple(ends)})
            each = f" with {photographs} photographs each" if photographs > 1 else ""
            yield from tally.rows(FIGURE, f"{name}, {count} defects{each}")
