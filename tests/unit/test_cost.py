"""What detectors cost, in processor time, and what rules used of what they asked for."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_results import CODE, run_script

from defectbench.errors import job_log
from defectbench.evaluation.cells import CellResults
from defectbench.images.index import IndexRow, write_index
from defectbench.machine import OtherPrograms
from defectbench.provenance import peak_memory_mb
from defectbench.reports.costs import (
    cost_markdown,
    finished_jobs,
    usage_table,
    used_mb,
    used_share,
    with_costs,
)
from defectbench.reports.speed_text import Speed
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.storage import read_json, write_arrays, write_json

OUTPUTS = (
    "model.h5",
    "scores.tsv",
    "held_out.tsv",
    "calibration.tsv",
    "check.json",
    "without_decisive.json",
    "maps.h5",
    "cost.json",
)


def score_images(folder: Path) -> dict[str, float]:
    """Run rule `scores` on a few generated vectors; its costs."""
    splits = ["train"] * 10 + ["test"] * 4
    rows = [
        IndexRow(f"{split}/{k}.png", split, 0, "good", "", 8, 8, "L", "0")
        for k, split in enumerate(splits)
    ]
    write_index(folder / "index.tsv", rows)
    X = np.random.default_rng(0).normal(size=(len(rows), 3)).astype(np.float32)
    made = {"preprocessing": {}, "code": {"features": ""}}
    write_arrays(folder / "features.h5", {"X": X}, {"provenance": made})
    write_json(folder / "extraction_cost.json", {"/": 12.0})
    run_script(
        "scores",
        folder,
        input={file.stem: file for file in folder.iterdir()},
        output={Path(name).stem: folder / name for name in OUTPUTS},
        params={
            "groups": "",
            "features_group": "/",
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


def cell(category: str, method: str, scoring: float) -> CellResults:
    """A cell that has nothing but its cost."""
    cost = {
        "extract_ms_per_image": None,
        "score_cpu_ms_per_image": scoring,
        "fit_cpu_seconds": 0.25,
        "peak_mb": 140.2,
        "model_bytes": 2_100_000,
    }
    names = {"category": category, "method": method, "backbone": "net"}
    return CellResults(names, None, None, cost, None, {})


MEASURED = {
    "machine": "Some Processor, 2 CPUs",
    "device": "CPU",
    "threads": 2,
    "taken_by_others": 0.02,
    "milliseconds": {"ring/fre/net": 21.0, "plate/fre/net": 23.0, "ring/knn@42/net": 24.0},
}


def rows(text: str) -> list[list[str]]:
    """Cells of a table in Markdown, the heading's first."""
    header, _, *lines = [line.strip("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in (header, *lines)]


def test_each_detector_has_a_row_of_means_and_what_was_not_measured_a_dash():
    cells = [cell("ring", "fre", 1), cell("ring", "knn", 3)]
    cells += [cell("plate", "fre", 2), cell("plate", "knn", 3)]
    speed = Speed([MEASURED])
    ranking = [
        {"detector": "fre net", "auroc": 0.9, "auroc_interval": [0.85, 0.95]},
        {"detector": "knn net", "auroc": None, "auroc_interval": [None, None]},
    ]
    costs = with_costs({"detectors": ranking}, cells, speed)
    text = cost_markdown("parts", "Covers it.", costs, speed)
    assert rows(text)[1:] == [
        ["fre net", "0.900 (0.850–0.950)", "0.25", "1.5", "22", "140", "2.1"],
        ["knn net", "–", "0.25", "3", "–", "140", "2.1"],
    ]
    assert text.splitlines()[2] == "Covers it."
    assert "one at a time, 2 threads, Some Processor, 2 CPUs. That is PyTorch" in text


def test_a_time_names_its_machine_and_whether_it_was_measured_alone():
    assert Speed([MEASURED]).of("ring", "knn net") == 24.0  # of several seeds, the first
    assert Speed([MEASURED]).where == "one at a time, 2 threads, Some Processor, 2 CPUs"
    busy = Speed([MEASURED | {"taken_by_others": 0.316, "device": "Some GPU"}])
    assert busy.where == (
        "one at a time, 2 threads, Some GPU, Some Processor, 2 CPUs; other programs took 32 % of "
        "the machine meanwhile"
    )
    assert Speed([]).of("ring", "fre net") is None
    assert Speed([]).sentence == ""


def test_what_other_programs_take_of_the_machine_is_a_share():
    others = OtherPrograms()
    sum(range(200_000))
    assert 0 <= others.share() <= 1


def job(**changes: object) -> dict:
    """Record of a finished job."""
    figures = {"s": 30.0, "cpu_time": 45.0, "peak_mb": 700, "threads": 2}
    return {"rule_name": "model", "mem_mb": 1000, "runtime": 5} | figures | changes


def test_a_rule_shows_its_most_demanding_job():
    large = job(s=60.0, peak_mb=900, mem_mb=2000, runtime=10)
    header, row = rows(usage_table([job(), large]))
    assert dict(zip(header, row, strict=True)) == {
        "rule": "model",
        "jobs": "2",
        "threads": "2",
        "CPUs used": "1.5",
        "MB asked": "1000–2000",
        "MB used": "700–900",
        "% used, at most": "70",
        "minutes asked": "10",
        "minutes used": "1.00",
    }


def test_rules_are_sorted_and_what_was_not_recorded_is_zero():
    unknown = {"s": 0.1, "max_rss": "NA", "cpu_time": "NA", "rule_name": "images", "mem_mb": 5}
    _, images, model = rows(usage_table([job(), unknown]))
    assert images == ["images", "1", "0", "0.0", "5", "0", "0", "0", "0.00"]
    assert model[0] == "model"


def test_the_peak_of_a_job_is_what_its_log_says_and_else_what_was_sampled(tmp_path: Path):
    record = {"rule_name": "scores", "max_rss": 100.0, "resources": {"mem_mb": 400}}
    for name in ("fre/scores", "dfkde/scores"):
        file = tmp_path / "benchmarks" / f"{name}.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(record))
    with job_log(make_parent(tmp_path / "logs" / "fre" / "scores.log")):
        pass
    sampled, logged = finished_jobs(tmp_path / "benchmarks", tmp_path / "logs")
    assert used_mb(sampled) == pytest.approx(100 * 2**20 / 1e6)
    assert used_mb(logged) == pytest.approx(peak_memory_mb(), rel=0.05)
    assert used_share(sampled) == pytest.approx(used_mb(sampled) / 400)


def make_parent(file: Path) -> Path:
    file.parent.mkdir(parents=True)
    return file
