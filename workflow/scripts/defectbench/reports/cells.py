"""One detector on one category, with all that a report shows of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.evaluation.operating_points import ScoredImages
from defectbench.evaluation.seeds import average_seeds, without_seed
from defectbench.storage import read_arrays, read_json, read_tsv


@dataclass(frozen=True)
class CellResults:
    """Figures and scores of a cell.

    Attributes
    ----------
    metrics
        Contents of its ``metrics.json``; ``pixels``, if it localizes: of its
        ``pixel_metrics.json``.
    paths, defects
        Of the test images, (n_images,).
    images
        Their labels, scores and groups, and those held out.
    cost
        Contents of its ``cost.json``: ``extract_ms_per_image`` by the clock, with decoding, None
        where it was not measured; ``score_cpu_ms_per_image`` and ``fit_cpu_seconds`` of processor
        time; ``peak_mb``, ``model_bytes``.
    maps
        Its ``maps.h5``; None for none.
    replicates
        Bootstrap replicates of its figures, by metric.
    """

    metrics: Mapping[str, Any]
    paths: list[str]
    defects: np.ndarray
    images: ScoredImages
    cost: Mapping[str, float | None]
    maps: str | None
    replicates: Mapping[str, np.ndarray]

    @property
    def labels(self) -> np.ndarray:
        """0 or 1 of each test image."""
        return self.images.labels

    @property
    def scores(self) -> np.ndarray:
        """Anomaly score of each test image."""
        return self.images.scores

    @property
    def pixels(self) -> Mapping[str, Any]:
        """Pixel metrics; empty for none."""
        return self.metrics.get("pixels", {})

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

        None where the extraction was not measured.
        """
        extraction = self.cost["extract_ms_per_image"]
        return None if extraction is None else extraction + self.cost["score_cpu_ms_per_image"]


def collect_cells(
    metrics: Iterable[str],
    scores: Iterable[str],
    held_out: Iterable[str],
    costs: Iterable[str],
    pixel_metrics: Iterable[str],
    maps: Iterable[str] = (),
    replicates: Iterable[str] = (),
) -> list[CellResults]:
    """The cells of a report, from the files that its rule names: others beside them may be old.

    Parameters
    ----------
    metrics, scores, held_out, costs
        One of each per cell, in the same order.
    pixel_metrics, maps, replicates
        Of those cells that have them and where the report shows them; a file belongs to the cell
        in whose folder it is.

    Returns
    -------
    list of CellResults
        In the order of the files; of a detector with several seeds, the mean figures and
        replicates, all else of the first seed.
    """
    files = list(zip(metrics, scores, held_out, costs, strict=True))
    folders = [Path(own[0]).parent for own in files]
    pixels, spread, of_maps = map(_by_folder, (pixel_metrics, replicates, maps))
    entries = [read_json(own[0]) for own in files]
    for entry, folder in zip(entries, folders, strict=True):
        if folder in pixels:
            entry["pixels"] = read_json(pixels[folder])
    drawn = [read_arrays(spread[folder])[0] if folder in spread else {} for folder in folders]
    first: dict[tuple[str, ...], int] = {}
    for place, entry in enumerate(entries):
        first.setdefault(without_seed(entry), place)
    return [
        _cell(entry, *files[place][1:], of_maps.get(folders[place]), own)
        for entry, own, place in zip(*average_seeds(entries, drawn), first.values(), strict=True)
    ]


def _by_folder(files: Iterable[str]) -> dict[Path, str]:
    return {Path(file).parent: file for file in files}


def _cell(
    entry: Mapping[str, Any],
    scores: str,
    held_out: str,
    cost: str,
    maps: str | None,
    replicates: Mapping[str, np.ndarray],
) -> CellResults:
    rows = read_tsv(scores)
    return CellResults(
        metrics=entry,
        paths=[row["path"] for row in rows],
        defects=np.array([row["defect"] for row in rows], str),
        images=ScoredImages(
            np.array([int(row["label"]) for row in rows], int),
            *_scores_and_groups(rows),
            *_scores_and_groups(read_tsv(held_out)),
        ),
        cost=read_json(cost),
        maps=maps,
        replicates=replicates,
    )


def _scores_and_groups(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([float(row["anomaly_score"]) for row in rows], float),
        np.array([row.get("group", "") for row in rows], str),
    )


def notes_by_category(notes: Iterable[str], checks: Iterable[str]) -> dict[str, list[str]]:
    """What is worth knowing about each category.

    Parameters
    ----------
    notes
        Each category's ``cells.json``, a list of sentences.
    checks
        ``{category}/{method}/{backbone}/held_out_check.json`` of each cell; its ``warnings`` are
        such a list too, of that detector.
    """
    found = {Path(file).parent.name: read_json(file) for file in notes}
    for file in checks:
        category, method, backbone = Path(file).parts[-4:-1]
        found[category] += [f"{method} {backbone}: {text}" for text in read_json(file)["warnings"]]
    return found
