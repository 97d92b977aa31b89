"""What a detector costs is counted in processor time, and stands beside its AUROC."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_results import CODE, run_script

from defectbench.evaluation.cells import CellResults
from defectbench.images.index import IndexRow, write_index
from defectbench.reports.costs import cost_markdown, with_costs
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.storage import read_json, write_arrays, write_json

OUTPUTS = {
    "model": "model.h5",
    "scores": "scores.tsv",
    "held_out": "held_out_scores.tsv",
    "check": "held_out_check.json",
    "maps": "maps.h5",
    "cost": "cost.json",
}


def score_images(folder: Path) -> dict[str, float]:
    """Run rule `scores` on a few generated vectors; its costs."""
    splits = ["train"] * 10 + ["test"] * 4
    rows = [
        IndexRow(f"{split}/{k}.png", split, 0, "good", "", 8, 8, "L", "0")
        for k, split in enumerate(splits)
    ]
    write_index(folder / "index.tsv", rows)
    X = np.random.default_rng(0).normal(size=(len(rows), 3)).astype(np.float32)
    write_arrays(folder / "features.h5", {"X": X}, {"provenance": {}})
    write_json(folder / "extraction_cost.json", {"/": 12.0})
    run_script(
        "scores",
        folder,
        input={
            "index": folder / "index.tsv",
            "features": folder / "features.h5",
            "extraction_cost": folder / "extraction_cost.json",
        },
        output={name: folder / file for name, file in OUTPUTS.items()},
        params={
            "groups": "",
            "group": "/",
            "layers": ["X"],
            "scorer": "nearest_neighbour",
            "parameters": {},
            "folds": 5,
            "trimmed": None,
            "seed": 42,
            "code": CODE,
        },
        wildcards={"category": "plate"},
    )
    return read_json(folder / "cost.json")


def test_processor_time_counts_and_waiting_for_the_processor_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = [7.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def takes(seconds: float, work: Callable) -> Callable:
        def timed(*given: object) -> object:
            clock[0] += seconds
            return work(*given)

        return timed

    monkeypatch.setattr(NearestNeighbour, "fit", takes(3, NearestNeighbour.fit))
    monkeypatch.setattr(NearestNeighbour, "anomaly_score", takes(2, NearestNeighbour.anomaly_score))
    cost = score_images(tmp_path)
    assert cost["fit_cpu_seconds"] == 3
    assert cost["score_cpu_ms_per_image"] == 2000 / 4
    assert cost["extract_ms_per_image"] == 12


def cell(method: str, extraction: float | None, scoring: float) -> CellResults:
    """A cell that has nothing but its cost."""
    cost = {
        "extract_ms_per_image": extraction,
        "score_cpu_ms_per_image": scoring,
        "fit_cpu_seconds": 0.25,
        "peak_mb": 140.2,
        "model_bytes": 2_100_000,
    }
    return CellResults({"method": method, "backbone": "net"}, None, None, cost, None, {})


def test_each_detector_has_a_row_of_means_and_what_was_not_measured_a_dash():
    cells = [cell("fre", 20, 1), cell("knn", None, 3), cell("fre", 21, 2), cell("knn", 20, 3)]
    ranking = [
        {"detector": "fre net", "auroc": 0.9, "auroc_interval": [0.85, 0.95]},
        {"detector": "knn net", "auroc": None, "auroc_interval": [None, None]},
    ]
    text = cost_markdown("parts", "Covers it.", with_costs({"detectors": ranking}, cells))
    rows = [[text.strip() for text in line.split("|")[1:-1]] for line in text.splitlines()[-2:]]
    assert rows == [
        ["fre net", "0.900 (0.850–0.950)", "0.25", "1.5", "22", "140", "2.1"],
        ["knn net", "–", "0.25", "3", "–", "140", "2.1"],
    ]
    assert text.splitlines()[2] == "Covers it."
