"""One detector on one category: all that its files say, of several seeds their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.evaluation.cautions import FLAGS
from defectbench.evaluation.good_images import read_good_images
from defectbench.evaluation.image_metrics import Confusion
from defectbench.records import HeldOutScores, Scores, read_metrics, read_scores
from defectbench.storage import read_arrays, read_json

SEPARATOR = "@"
"""Between method and seed, see `config.separate_seeds`."""


@dataclass(frozen=True)
class CellResults:
    """Figures and scores of a cell.

    Attributes
    ----------
    metrics
        Contents of its ``metrics.json``; ``pixels``, if it localizes: of its
        ``pixel_metrics.json``. Of several seeds also ``seeds`` and ``deviations``, see
        `average_seeds`.
    test, good
        Scores of the test images, and of the good images that set the honest threshold.
    cost
        Contents of its ``cost.json``: ``extract_ms_per_image`` by the clock, with decoding, None
        where it was not measured; ``score_cpu_ms_per_image`` and ``fit_cpu_seconds`` of processor
        time; ``peak_mb``, ``model_bytes``.
    maps
        Its ``maps.h5``; None for none.
    replicates
        Bootstrap replicates of its figures, by metric.
    of_seeds
        Of several seeds the cell of each; see `seeds`.
    """

    metrics: Mapping[str, Any]
    test: Scores
    good: HeldOutScores
    cost: Mapping[str, float | None]
    maps: str | None
    replicates: Mapping[str, np.ndarray]
    of_seeds: Sequence["CellResults"] = ()

    @property
    def seeds(self) -> Sequence["CellResults"]:
        """The cell of each seed; this one if there is a single one."""
        return self.of_seeds or (self,)

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
        """The detector's name."""
        return detector_name(self.metrics)

    @property
    def threshold(self) -> float | None:
        """The honest threshold."""
        return self.metrics["thresholds"]["honest"]

    def share_of_good_below(self, score: float) -> float | None:
        """Share of the good images that set the threshold whose score is lower; None without any.

        It says of a score what its own unit does not; an exported detector gives it, too.
        """
        return float((self.good.scores < score).mean()) if len(self.good.scores) else None


def detector_name(entry: Mapping[str, Any]) -> str:
    """Method and backbone with a space between: how a detector is called everywhere."""
    return f"{entry['method']} {entry['backbone']}"


def collect_cells(files: Mapping[str, Sequence[str]]) -> list[CellResults]:
    """Read the cells of a report from the files that its rule names.

    Files beside them are not read: they may be left from an earlier run.

    Parameters
    ----------
    files
        Inputs of the rule. ``metrics``, ``scores``, ``held_out``, ``calibration`` and ``costs`` are
        one of each per cell, in the same order. ``pixel_metrics``, ``maps`` and ``replicates`` are
        of the cells that have them, where the report shows them; each belongs to the cell in whose
        folder it is.

    Returns
    -------
    list of CellResults
        In the order of the files, seeds averaged.
    """
    pixels, maps, drawn = (
        {Path(file).parent: file for file in files.get(name, ())}
        for name in ("pixel_metrics", "maps", "replicates")
    )
    names = ("metrics", "scores", "held_out", "calibration", "costs")
    cells = []
    for metrics, scores, held_out, calibration, cost in zip(*map(files.get, names), strict=True):
        folder = Path(metrics).parent
        found: dict[str, Any] = dict(read_metrics(metrics))
        if folder in pixels:
            found["pixels"] = read_json(pixels[folder])
        cells.append(
            CellResults(
                found,
                read_scores(scores),
                read_good_images(held_out, calibration).setting,
                read_json(cost),
                maps.get(folder),
                read_arrays(drawn[folder])[0] if folder in drawn else {},
            )
        )
    return average_seeds(cells)


def average_seeds(cells: Sequence[CellResults]) -> list[CellResults]:
    """One cell per category and detector: of several seeds, the mean of each figure.

    Returns
    -------
    list of CellResults
        The metrics of several seeds have ``seeds``, the list, ``deviations``, the standard
        deviation of each figure over them, and ``threshold_range``, the lowest and the highest
        honest threshold; their intervals reach from the mean lower to the mean upper limit. A
        flag stands if it does with any seed. Replicates are means over the seeds, which are
        resampled alike. What is no figure (scores, thresholds, counts, defect types, worst
        images, costs) is that of the first seed.
    """
    found: dict[tuple[str, str, str], list[CellResults]] = {}
    for cell in cells:
        method = cell.metrics["method"].partition(SEPARATOR)[0]
        found.setdefault((cell.category, method, cell.metrics["backbone"]), []).append(cell)
    return [_mean_cell(method, own) for (_, method, _), own in found.items()]


def _mean_cell(method: str, cells: Sequence[CellResults]) -> CellResults:
    first = cells[0]
    if first.metrics["method"] == method:  # it names no seed, so there are no others
        return first
    entries = [cell.metrics for cell in cells]
    made = first.metrics["specification"]
    seeds = [entry["specification"]["parameters"]["seed"] for entry in entries]
    raised = {flag for entry in entries for flag in entry["flags"]}
    metrics = {
        **first.metrics,
        **_mean_figures(entries),
        "method": method,
        "seeds": seeds,
        "at_rate": _at_rate_over_seeds([entry["at_rate"] for entry in entries]),
        "threshold_range": _range([cell.threshold for cell in cells]),
        "reasons": {key: text for entry in entries for key, text in entry["reasons"].items()},
        "cautions": list(dict.fromkeys(text for entry in entries for text in entry["cautions"])),
        "flags": [flag for flag in FLAGS if flag in raised],
        "specification": made | {"parameters": made["parameters"] | {"seed": seeds}},
    }
    if first.pixels:
        metrics["pixels"] = first.pixels | _mean_figures([cell.pixels for cell in cells])
    means = {
        name: np.mean([cell.replicates[name] for cell in cells], axis=0)
        for name in first.replicates
    }
    return replace(first, metrics=metrics, replicates=means, of_seeds=tuple(cells))


def _at_rate_over_seeds(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Escapes at the rate asked, of several seeds; the threshold is the first one's."""
    if any(each["escape_rate"] is None for each in found):
        return dict(found[0])
    means = {
        name: np.mean([each[name] for each in found], axis=0).tolist()
        for name in ("escape_rate", "escape_rate_interval")
    }
    return {**found[0], **means}


def _range(values: Sequence[float | None]) -> list[float] | None:
    """The lowest and the highest value; None where one is missing."""
    return None if None in values else [min(values), max(values)]


def _mean_figures(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """``metrics`` and ``intervals`` averaged, and the ``deviations`` of the metrics."""
    first = entries[0]
    means, deviations = dict(first["metrics"]), {}
    for name in means:
        values = [entry["metrics"].get(name) for entry in entries]
        if None not in values and not name.endswith(Confusion._fields):
            means[name] = float(np.mean(values))
            deviations[name] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    intervals = {
        name: np.mean([entry["intervals"][name] for entry in entries], axis=0).tolist()
        for name in first["intervals"]
        if all(name in entry["intervals"] for entry in entries)
    }
    return {"metrics": means, "deviations": deviations, "intervals": intervals}
