"""How often the promises of page, tables and studies hold in simulation: reports/coverage.md.

Run it with ``make bench-coverage``; ``BENCH="--parts rates"`` measures some parts anew and keeps
what the report's tidy twin says of the others.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import drift_report
import image_figures
import pandas as pd
import pixels
import rates
import sizes
import study_sentences
from simulated import USED, Row

from defectbench.reports import markdown
from defectbench.reports.markdown import MISSING

REPORT = Path("reports/coverage.md")
TIDY = REPORT.with_suffix(".csv")

PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "images": image_figures.rows,
    "rates": rates.rows,
    "pixels": pixels.rows,
    "drift": drift_report.rows,
    "studies": study_sentences.rows,
    "sizes": sizes.rows,
}
"""By the name of a part: its rows, from the number of simulations for each."""

WORDS = """# What is promised, and how often it holds

Made by `make bench-coverage` (tests/bench/coverage) from generated images of known truth; every
case is in [coverage.csv](coverage.csv). *Kept*: in how many of 100 simulations the promise held,
of those that print a number: an interval is to hold the truth in 95. *Told*: in how many a number
is printed at all, and not that there are too few images to tell. *Width* is the interval's mean
width. *Used* is what is printed, the others are what it was chosen over."""


def summary(rows: pd.DataFrame) -> str:
    """Of each figure the worst case and all of them, as printed."""
    used = rows[(rows["method"] == USED) & (rows["told"] > 0)]
    lines = []
    for (part, figure), own in used.groupby(["part", "figure"], sort=False):
        worst = own.loc[(own["kept"] - own["promised"]).idxmin()]
        lines.append(
            {
                "figure": figure,
                "cases": len(own),
                "promised": f"{100 * worst['promised']:.3g}",
                "kept, worst case": f"{100 * worst['kept']:.1f}",
                "kept, all": f"{100 * own['kept'].mean():.1f}",
                "the worst case": worst["case"],
                "simulations": _simulations(own["simulations"]),
                "part": part,
            }
        )
    return markdown.table(list(lines[0]), [line.values() for line in lines])


def _simulations(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    if not high:
        return "exact"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _shown(row: Row) -> str:
    """How often a promise was kept, the mean width, and how often a number is told at all."""
    if not row.told:
        return "too few to tell"
    width = "" if pd.isna(row.width) else f" / {row.width:.3f}"
    return f"{100 * row.kept:.1f}{width}" + f" ({100 * row.told:.0f} told)" * (row.told < 1)


def table(own: pd.DataFrame) -> str:
    """Cases of a figure, the methods side by side."""
    cells = own.assign(shown=[_shown(row) for row in own.itertuples()])
    order = {"index": own["case"].unique(), "columns": own["method"].unique()}
    wide = cells.pivot(index="case", columns="method", values="shown").reindex(**order)
    wide = wide.fillna(MISSING).reset_index()
    return markdown.table(wide.columns, wide.to_numpy())


def report(rows: pd.DataFrame) -> str:
    """The whole report."""
    sections = [WORDS, summary(rows)]
    for (_, figure), own in rows.groupby(["part", "figure"], sort=False):
        sections += [f"## {figure[:1].upper()}{figure[1:]}", "Kept / width, by case.", table(own)]
    return "\n\n".join(sections) + "\n"


def measure(parts: list[str], trials: int) -> pd.DataFrame:
    """Rows of these parts anew, and of the others as they are."""
    known = pd.read_csv(TIDY) if TIDY.is_file() else pd.DataFrame(columns=["part", *Row._fields])
    found = []
    for name, rows in PARTS.items():
        if name in parts:
            found.append(pd.DataFrame(rows(trials)).assign(part=name))
        else:
            found.append(known[known["part"] == name])
    return pd.concat([each for each in found if len(each)])[["part", *Row._fields]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--trials", type=int, default=500)
    asked = parser.parse_args()
    rows = measure(asked.parts, asked.trials)
    rows.to_csv(TIDY, index=False, float_format="%.4f")
    REPORT.write_text(report(pd.read_csv(TIDY)), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))
