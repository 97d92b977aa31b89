"""One detector on one category, with all that its page shows; optional parts may be absent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.evaluation.operating_points import ScoredImages
from defectbench.storage import read_json, read_tsv


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
        Contents of its ``cost.json``: ``score_ms_per_image``, ``extract_ms_per_image``,
        ``fit_seconds``, ``peak_mb``, ``model_bytes``, each optional; empty for none.
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
        """Time from a prepared image to its score; None where a part of it was not measured."""
        parts = [self.cost.get(f"{part}_ms_per_image") for part in ("extract", "score")]
        return None if None in parts else float(sum(parts))


def read_cells(
    metrics: Iterable[str],
    pixel_metrics: Iterable[str],
    costs: Iterable[str] = (),
    maps: Iterable[str] = (),
) -> list[CellResults]:
    """The cells of these files, in the order of `metrics`; scores lie beside them.

    Parameters
    ----------
    metrics
        The ``metrics.json`` of every cell.
    pixel_metrics, costs, maps
        Files of some cells: ``pixel_metrics.json``, ``cost.json``, ``maps.h5``.
    """
    pixels, cost, located = map(_by_folder, (pixel_metrics, costs, maps))
    return [
        CellResults(
            metrics=read_json(file),
            **_scores(folder / "scores.tsv", folder / "held_out_scores.tsv"),
            pixels=read_json(pixels[folder]) if folder in pixels else {},
            cost=read_json(cost[folder]) if folder in cost else {},
            maps=located.get(folder),
        )
        for folder, file in _by_folder(metrics).items()
    ]


def _by_folder(files: Iterable[str]) -> dict[Path, Path]:
    return {Path(file).parent: Path(file) for file in files}


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
