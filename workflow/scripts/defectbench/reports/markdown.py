"""How figures and tables are written in Markdown."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

MISSING = "–"


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
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)
