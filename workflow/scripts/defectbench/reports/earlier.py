"""Results of earlier runs: a run of some categories must not lose the report of the others."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.reports.results import Metrics
from defectbench.storage import atomic_path, read_json

PER_CATEGORY = frozenset({"dataset_sha256", "device"})
"""Provenance that may differ between the categories of one table."""


class Cell(NamedTuple):
    """A detector on a category: its folder and its entry of the report."""

    folder: Path
    entry: Mapping[str, Any]


def read_cell(folder: Path) -> Cell:
    """The cell of a folder; ``pixels`` of its entry is its ``pixel_metrics.json``, if any."""
    entry = read_json(folder / "metrics.json")
    pixels = folder / "pixel_metrics.json"
    return Cell(folder, entry | ({"pixels": read_json(pixels)} if pixels.is_file() else {}))


def earlier_cells(cells: Sequence[Cell], categories: Sequence[str]) -> tuple[list[Cell], list[str]]:
    """Finished cells of other categories that were made as this run's, and what to say of them.

    Parameters
    ----------
    cells
        Of this run, in ``results/{dataset}/{category}/{method}/{backbone}``.
    categories
        All of the dataset.

    Returns
    -------
    list of Cell, list of str
        In order of categories and of the run's detectors; sentences for the reader.
    """
    models = {cell.folder.parts[-2:]: cell for cell in cells}
    missing = [name for name in categories if name not in {c.entry["category"] for c in cells}]
    found: list[Cell] = []
    refused: dict[str, list[str]] = {}
    for category in missing:
        for detector, model in models.items():
            folder = Path(*model.folder.parts[:-3], category, *detector)
            if not all((folder / name).is_file() for name in ("metrics.json", "replicates.h5")):
                continue
            cell = read_cell(folder)
            differing = sorted(_differing(_settings(model.entry), _settings(cell.entry)))
            if differing:
                refused.setdefault(", ".join(differing), []).append(category)
            else:
                found.append(cell)
    lines = [
        f"Results of {_listed(where)} from earlier runs were made otherwise ({what}) and are left "
        "out."
        for what, where in refused.items()
    ]
    if found:
        where = _listed([cell.entry["category"] for cell in found])
        lines.insert(0, f"From earlier runs, made in the same way: {where}.")
    return found, lines


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the figures of a cell, its images apart."""
    made = {key: value for key, value in entry["provenance"].items() if key not in PER_CATEGORY}
    made |= {key: entry[key] for key in ("seed", "false_positive_rate")}
    if pixels := entry.get("pixels"):
        made["code_pixel_metrics"] = pixels["provenance"].get("code_pixel_metrics")
        made["resolution"] = pixels["resolution"]
    return made


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    return (key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def variant(metrics: Metrics) -> str:
    """Name of the settings that a whole report is made with."""
    first = metrics[0]
    precision = "-".join(sorted({m["provenance"].get("precision", "given") for m in metrics}))
    return f"rate{first['false_positive_rate']:g}_{precision}_seed{first['seed']}"


def keep_report(files: Sequence[str], folder: Path) -> None:
    """Copy a report of all categories to where no other run writes."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with atomic_path(folder / Path(file).name) as part:
            shutil.copyfile(file, part)


def kept_reports(folder: Path, own: str) -> list[str]:
    """Sentence that names the reports of all categories that are kept, one's own apart."""
    others = sorted(path.name for path in folder.glob("rate*") if path.name != own)
    names = ", ".join(others)
    return [f"Kept reports of all categories, in {folder}: {names}."] if others else []
