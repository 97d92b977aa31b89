"""One detector on one category, with all that its page shows; optional parts may be absent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.operating_points import ScoredImages
from defectbench.reports.earlier import earlier_cells, read_cell
from defectbench.reports.results import Replicates
from defectbench.reports.seeds import SEPARATOR, average_seeds
from defectbench.storage import read_arrays, read_json, read_tsv


@dataclass(frozen=True)
class CellResults:
    """Figures and scores of a cell.

    Attributes
    ----------
    metrics
        Contents of its ``metrics.json``.
    paths, defects
        Of the test images, (n_images,).
    images
        Their labels, scores and groups, and those held out.
    pixels
        Contents of its ``pixel_metrics.json``; empty for none.
    cost
        Contents of its ``cost.json``: ``extract_ms_per_image`` by the clock, with decoding;
        ``score_cpu_ms_per_image`` and ``fit_cpu_seconds`` of processor time; ``peak_mb``,
        ``model_bytes``; each optional, empty for none.
    maps
        Its ``maps.h5``; None for none.
    """

    metrics: Mapping[str, Any]
    paths: list[str]
    defects: np.ndarray
    images: ScoredImages
    pixels: Mapping[str, Any]
    cost: Mapping[str, Any]
    maps: Path | None

    @property
    def labels(self) -> np.ndarray:
        """0 or 1 of each test image."""
        return self.images.labels

    @property
    def scores(self) -> np.ndarray:
        """Anomaly score of each test image."""
        return self.images.scores

    @property
    def category(self) -> str:
        """The category's name."""
        return self.metrics["category"]

    @property
    def detector(self) -> str:
        """Method and backbone, with a space between."""
        return f"{self.metrics['method']} {self.metrics['backbone']}"

    @property
    def milliseconds(self) -> float | None:
        """From an image's file to its score: extraction by the clock, scoring in processor time.

        None where either was not measured.
        """
        parts = [self.cost.get(f"{part}_ms_per_image") for part in ("extract", "score_cpu")]
        return None if None in parts else float(sum(parts))


class Cells(NamedTuple):
    """All cells of a report.

    Attributes
    ----------
    cells
        In the order of the categories; of a detector with several seeds, the mean figures and the
        first seed's scores.
    replicates
        Bootstrap replicates of each.
    folders
        Of all that went into them.
    coverage
        What to say of those that earlier runs left.
    """

    cells: list[CellResults]
    replicates: Replicates
    folders: list[Path]
    coverage: list[str]

    def whole(self, categories: Sequence[str]) -> bool:
        """Whether every category has results."""
        return {cell.category for cell in self.cells} == set(categories)


def collect_cells(metrics: Iterable[str], categories: Sequence[str]) -> Cells:
    """The cells of a run, as the table has them: with those of earlier runs made in the same way.

    Parameters
    ----------
    metrics
        The ``metrics.json`` of every cell; what else a cell has lies beside it.
    categories
        All of the dataset, in order.
    """
    run = [read_cell(Path(path).parent) for path in metrics]
    earlier, coverage = earlier_cells(run, categories)
    found = sorted([*run, *earlier], key=lambda cell: categories.index(cell.entry["category"]))
    entries, replicates = average_seeds(
        [cell.entry for cell in found],
        [read_arrays(cell.folder / "replicates.h5")[0] for cell in found],
    )
    first: dict[tuple[str, ...], Path] = {}
    for cell in found:
        method = cell.entry["method"].partition(SEPARATOR)[0]
        first.setdefault((cell.entry["category"], method, cell.entry["backbone"]), cell.folder)
    cells = [_cell(*pair) for pair in zip(entries, first.values(), strict=True)]
    return Cells(cells, replicates, [cell.folder for cell in found], coverage)


def _cell(entry: Mapping[str, Any], folder: Path) -> CellResults:
    cost, maps = folder / "cost.json", folder / "maps.h5"
    return CellResults(
        metrics=entry,
        **_scores(folder / "scores.tsv", folder / "held_out_scores.tsv"),
        pixels=entry.get("pixels", {}),
        cost=read_json(cost) if cost.is_file() else {},
        maps=maps if maps.is_file() else None,
    )


def _scores(scores: Path, held_out: Path) -> dict[str, Any]:
    rows, held_out_rows = read_tsv(scores), read_tsv(held_out)
    return {
        "paths": [row["path"] for row in rows],
        "defects": np.array([row["defect"] for row in rows], str),
        "images": ScoredImages(
            np.array([int(row["label"]) for row in rows], int),
            *_scores_and_groups(rows),
            *_scores_and_groups(held_out_rows),
        ),
    }


def _scores_and_groups(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([float(row["anomaly_score"]) for row in rows], float),
        np.array([row.get("group", "") for row in rows], str),
    )
