"""How figures, texts and tables are written: dashes, decimals, intervals, Markdown."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from defectbench.records import Specification

Columns = Mapping[str, Callable[[Any], Any]]
Limits = Sequence[float | None] | None

MISSING = "–"
WIDTH = 180
"""Characters of a table's row that fit a page; wider tables are split."""


def number(value: float | None, sign: str = "") -> str:
    """Three decimals, or a dash."""
    return MISSING if value is None or value != value else f"{value:{sign}.3f}"


def score(value: float | None) -> str:
    """An anomaly score or threshold in its own unit, six digits."""
    return MISSING if value is None or value != value else f"{value:.6g}"


def threshold(value: float | None, over_seeds: Limits) -> str:
    """A threshold in the unit of the score; of several seeds, the first one's and their range."""
    if over_seeds is None:
        return score(value)
    return f"{score(value)} (seeds: {score(over_seeds[0])}–{score(over_seeds[1])})"


def amount(value: float | None) -> str:
    """A time, a size or a sum to three digits, or a dash."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(rate: float | None) -> str:
    """A rate in percent, without empty decimals."""
    return MISSING if rate is None else f"{100 * rate:.3g} %"


def above_good(below: float | None) -> str:
    """How a score compares with those of the good parts, of which such a share scores lower."""
    if below is None:
        return ""
    how_many = {0: "no good part", 1: "all good parts"}
    return f"above {how_many.get(below, f'{percent(round(below, 3))} of good parts')}"


def percent_range(limits: Sequence[float]) -> str:
    """Two rates in percent."""
    low, high = (100 * limit for limit in limits)
    return f"{low:.2g}–{high:.2g} %"


def thousand(rate: float | None) -> str:
    """A rate as a number of 1,000 parts, whole unless it is below a half."""
    if rate is None:
        return MISSING
    return f"{1000 * rate:.1g}" if 0 < 1000 * rate < 0.5 else f"{1000 * rate:.0f}"


def bounds(limits: Limits, form: str = ".3f") -> str:
    """An interval by itself; empty for none."""
    if limits is None or None in limits:
        return ""
    low, high = limits
    return f"{low:{form}}–{high:{form}}"


def with_interval(value: float | None, limits: Limits, form: str = ".3f") -> str:
    """A figure and, in brackets, its interval if there is one."""
    if value is None:
        return MISSING
    within = bounds(limits, form)
    return f"{value:{form}} ({within})" if within else f"{value:{form}}"


def thousand_bounds(limits: Limits) -> str:
    """Limits of a rate as numbers of 1,000 parts, in brackets; empty for none."""
    return "" if limits is None else f"({bounds([1000 * limit for limit in limits], '.0f')})"


def per_thousand(point: Mapping[str, Any], rate: str) -> str:
    """A rate of an operating point as a number of 1,000 parts, with its interval."""
    if point[rate] is None:
        return MISSING
    return f"{thousand(point[rate])} {thousand_bounds(point[f'{rate}_interval'])}"


def share(rate: float | None, limits: Limits) -> str:
    """A rate in percent, with its interval if it has one."""
    if rate is None:
        return MISSING
    text = f"{100 * rate:.1f} %"
    return f"{text} ({bounds([100 * limit for limit in limits], '.1f')})" if limits else text


def counts(row: pd.Series) -> str:
    """Counts of a confusion matrix, or a dash where one is missing."""
    return MISSING if row.isna().any() else " / ".join(f"{count:.0f}" for count in row)


def compact(value: Any) -> str:
    """A mapping in one line, without JSON's marks."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text[1:-1].replace('"', "") or MISSING


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


STAGES = ("features", "scorer", "evaluation", "pixel metrics")


def made_of(made: Specification) -> dict[str, str]:
    """What a detector's specification says of how its figures were made, in words."""
    told = {
        "scorer": made["scorer"],
        "parameters": compact(made["parameters"]),
        "layers": ", ".join(made["layers"]),
        "images": compact(made["preprocessing"]),
        "weights": made["weights_sha256"][:16],
    }
    told |= {f"code of {stage}": made["code"].get(stage, "") for stage in STAGES}
    return {what: text or MISSING for what, text in told.items()}


def distinct(values: Iterable[Any]) -> str:
    """Each value once, in order."""
    return ", ".join(sorted({str(value) for value in values}))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as GitHub renders it; texts that look like numbers stay as they are."""
    cells = [list(map(_escaped, row)) for row in rows]
    return tabulate(cells, list(map(_escaped, header)), tablefmt="github", disable_numparse=True)


def table_of(columns: Columns, entries: Iterable[Any]) -> str:
    """A table with a row for each entry; columns by their headings, each the cell's text."""
    return table(list(columns), [[text(entry) for text in columns.values()] for entry in entries])


def tables(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table, or several that fit `WIDTH`, each with the first column."""
    first, *others = zip(header, *rows, strict=True)
    parts: list[list[Sequence[Any]]] = []
    left = 0
    for column in others:
        if left < _width(column):
            parts.append([first])
            left = WIDTH - _width(first)
        parts[-1].append(column)
        left -= _width(column)
    lines = [list(zip(*columns, strict=True)) for columns in parts]
    return "\n\n".join(table(head, rest) for head, *rest in lines)


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
