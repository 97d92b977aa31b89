"""What a run would meet: categories as they are on the disk, and what earlier runs took."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from defectbench.images.index import IndexRow, read_index

HEADER = ("category", "train", "test good", "test defective", "masks", "groups", "sizes", "modes")
MOST_LISTED = 3


class Rates(NamedTuple):
    """What earlier runs took for one image and one detector, everything from decoding on.

    Attributes
    ----------
    seconds
        Of all jobs, one after the other.
    size
        Of the results, in bytes.
    """

    seconds: float
    size: float


def preview_table(categories: dict[str, Sequence[IndexRow]]) -> str:
    """Counts, masks, groups, sizes and modes of each category, for a terminal."""
    rows = [_row(name, index) for name, index in categories.items()]
    return tabulate(rows, HEADER, "simple", disable_numparse=True)


def _row(name: str, index: Sequence[IndexRow]) -> list[str]:
    train = [row for row in index if row.split == "train"]
    tested = [row for row in index if row.split == "test" and not row.label]
    defective = Counter(row.defect for row in index if row.label)
    types = f" ({_listed(defective)})" if defective else ""
    groups = {row.group for row in index if row.group}
    return [
        name,
        str(len(train)),
        str(len(tested)),
        f"{defective.total()}{types}",
        str(sum(bool(row.mask) for row in index)),
        str(len(groups) or "none"),
        _listed(Counter(f"{row.width}×{row.height}" for row in index)),
        _listed(Counter(row.mode for row in index)),
    ]


def _listed(counts: Counter[str]) -> str:
    """The most frequent, with their counts unless there is one alone."""
    if len(counts) == 1:
        return next(iter(counts))
    most = [f"{count} {name}" for name, count in counts.most_common(MOST_LISTED)]
    more = [f"{len(counts) - MOST_LISTED} more"] if len(counts) > MOST_LISTED else []
    return ", ".join([*most, *more])


def earlier_rates(root: Path) -> Rates | None:
    """What finished categories took, by the benchmarks and results below a folder; None if none."""
    seconds = size = work = 0.0
    for index in root.glob("results/*/*/index.tsv"):
        category = index.parent
        detectors = len(list(category.glob("*/*/metrics.json")))
        benchmarks = list((root / "benchmarks").joinpath(*category.parts[-2:]).rglob("*.jsonl"))
        work += len(read_index(index)) * detectors
        if detectors:
            seconds += sum(_seconds(file) for file in benchmarks)
            files = (file for file in category.rglob("*") if not file.name.startswith("."))
            size += sum(file.stat().st_size for file in files if file.is_file())
    return Rates(seconds / work, size / work) if work else None


def _seconds(benchmark: Path) -> float:
    lines = benchmark.read_text(encoding="utf-8").splitlines()
    return sum(float(json.loads(line).get("s") or 0) for line in lines)
