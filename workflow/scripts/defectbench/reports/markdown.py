"""How figures and tables are written in Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

MISSING = "–"
WIDTH = 180
"""Characters of a table's row that fit a page; wider tables are split."""


def number(value: float | None, sign: str = "") -> str:
    """Three decimals, or a dash."""
    return MISSING if value is None or value != value else f"{value:{sign}.3f}"


def counts(row: pd.Series) -> str:
    """Counts of a confusion matrix, or a dash where one is missing."""
    return MISSING if row.isna().any() else " / ".join(f"{count:.0f}" for count in row)


def compact(value: Any) -> str:
    """A mapping in one line, without JSON's marks."""
    return json.dumps(value, sort_keys=True).strip("{}").replace('"', "") or MISSING


def distinct(values: Iterable[Any]) -> str:
    """Each value once, in order."""
    return ", ".join(sorted({str(value) for value in values}))


def paragraphs(*parts: str) -> str:
    """Parts that say something, with an empty line between them."""
    return "\n\n".join(filter(None, parts))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as GitHub renders it; texts that look like numbers stay as they are."""
    cells = [list(map(_escaped, row)) for row in rows]
    return tabulate(cells, list(map(_escaped, header)), tablefmt="github", disable_numparse=True)


def tables(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table, or several that fit `WIDTH`, each with the first column."""
    columns = list(zip(header, *rows, strict=True))
    groups: list[list[int]] = []
    left = 0
    for place in range(1, len(columns)):
        if left < _width(columns[place]):
            groups.append([])
            left = WIDTH - _width(columns[0])
        groups[-1].append(place)
        left -= _width(columns[place])
    parts = [
        list(zip(columns[0], *(columns[place] for place in group), strict=True)) for group in groups
    ]
    return paragraphs(*(table(first, rest) for first, *rest in parts))


def grid(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    """Texts by name and column; the longer side of the two goes down.

    Parameters
    ----------
    columns
        By title, a text for each name.
    """
    if len(columns) > len(names):
        return tables(["", *names], [[title, *texts] for title, texts in columns.items()])
    return tables(["", *columns], zip(names, *columns.values(), strict=True))


def _width(column: Sequence[Any]) -> int:
    """Of a column in print, with what stands between two."""
    return 3 + max(len(_escaped(column[0])) + 2, *(len(_escaped(cell)) for cell in column))


def _escaped(cell: Any) -> str:
    """A text that is no markup in a table's cell, whatever the names in it hold."""
    return str(cell).replace("|", "\\|").replace("<", "&lt;")


MOST_NAMED = 6


def scope_line(covered: Sequence[str], categories: Sequence[str]) -> str:
    """The first line of every report.

    Parameters
    ----------
    covered
        Categories that the report was made of.
    categories
        All of the dataset.
    """
    missing = [name for name in categories if name not in covered]
    if not missing:
        several = len(categories) > 1
        return (
            f"Covers all {len(categories)} categories." if several else "Covers the one category."
        )
    shorter = missing if len(missing) < len(covered) else covered
    names = ", ".join(shorter[:MOST_NAMED]) + ", …" * (len(shorter) > MOST_NAMED)
    return (
        f"Covers {len(covered)} of {len(categories)} categories: "
        f"{'all but ' if shorter is missing else ''}{names}. The same command for all categories "
        "adds the others that are there, finished ones in seconds."
    )
