"""One detector on one category, with all that its page shows; optional parts may be absent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.storage import read_tsv


@dataclass(frozen=True)
class CellResults:
    """Figures and scores of a cell.

    Attributes
    ----------
    metrics
        Contents of its ``metrics.json``.
    paths, labels, defects, scores
        Of the test images, (n_images,).
    held_out
        Scores of training images by models that did not see them.
    pixels
        Contents of its ``pixel_metrics.json``; empty for none.
    cost
        Contents of its ``cost.json``: ``score_ms_per_image``, ``extract_ms_per_image``,
        ``fit_seconds``, ``peak_mb``, ``model_bytes``, each optional; empty for none.
    pictures
        Folder of its drawn maps with their ``index.json``; None for none.
    warnings
        What its held-out check found.
    """

    metrics: Mapping[str, Any]
    paths: list[str]
    labels: np.ndarray
    defects: np.ndarray
    scores: np.ndarray
    held_out: np.ndarray
    pixels: Mapping[str, Any]
    cost: Mapping[str, Any]
    pictures: Path | None
    warnings: list[str]

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


def read_scores(scores: str | Path, held_out: str | Path) -> dict[str, Any]:
    """The fields of a `CellResults` that come from its ``scores.tsv`` and held-out scores."""
    rows = read_tsv(scores)
    return {
        "paths": [row["path"] for row in rows],
        "labels": np.array([int(row["label"]) for row in rows], int),
        "defects": np.array([row["defect"] for row in rows], str),
        "scores": np.array([float(row["anomaly_score"]) for row in rows], float),
        "held_out": np.array([float(row["anomaly_score"]) for row in read_tsv(held_out)], float),
    }
