"""What the comparisons with reference outputs found."""

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate


class Item(NamedTuple):
    """One compared quantity and its largest deviation; without a tolerance where it is meant."""

    name: str
    deviation: float
    tolerance: float | None


def all_within(items: Sequence[Item]) -> bool:
    """Whether every deviation is within its tolerance."""
    return all(item.tolerance is None or item.deviation <= item.tolerance for item in items)


def table(items: Sequence[Item]) -> str:
    """A row for each item."""
    rows = [
        [
            item.name,
            f"{item.deviation:.1e}",
            "–" if item.tolerance is None else f"{item.tolerance:.0e}",
            "meant" if item.tolerance is None else "yes" if all_within([item]) else "NO",
        ]
        for item in items
    ]
    header = ["item", "largest deviation", "tolerance", "within"]
    return tabulate(rows, header, "github", disable_numparse=True)
