"""What the comparisons with reference outputs print."""

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate


class Item(NamedTuple):
    """One compared quantity and its largest deviation."""

    name: str
    deviation: float
    tolerance: float


def print_items(items: Sequence[Item]) -> bool:
    """Print a table of items; tell whether all are within their tolerances."""
    within = [bool(item.deviation <= item.tolerance) for item in items]
    rows = [
        [item.name, f"{item.deviation:.1e}", f"{item.tolerance:.0e}", "yes" if good else "NO"]
        for item, good in zip(items, within, strict=True)
    ]
    header = ["item", "largest deviation", "tolerance", "within"]
    print(tabulate(rows, header, "github", disable_numparse=True))
    return all(within)
