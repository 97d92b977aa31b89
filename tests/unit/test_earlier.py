"""A run of some categories, or with other settings, loses no report."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_tables import metrics, replicates

from defectbench.storage import write_arrays, write_json

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "write_table.py"
CATEGORIES = ["bottle", "cable"]


def finish(folder: Path, category: str, **changes: object) -> None:
    """Leave a finished cell, as the metrics stage does."""
    entry = metrics(category, "dfkde", {"bottle": 0.95, "cable": 0.75}[category]) | changes
    cell = folder / "results" / "mvtec" / category / "dfkde" / "resnet18"
    write_json(cell / "metrics.json", entry)
    write_arrays(cell / "replicates.h5", replicates(entry), {})


def write_table(folder: Path, *categories: str) -> str:
    """The table of a run of these categories."""
    reports = folder / "reports"
    inputs = [
        folder / "results" / "mvtec" / category / "dfkde" / "resnet18" / "metrics.json"
        for category in categories
    ]
    outputs = {"markdown": "table.md", "details": "details.md", "csv": "table.csv"}

    class Output(list):
        def __init__(self) -> None:
            super().__init__(str(reports / f"mvtec_{name}") for name in outputs.values())
            self.markdown, self.details, self.csv = self

    job = SimpleNamespace(
        input=SimpleNamespace(metrics=[str(path) for path in inputs], published=[]),
        output=Output(),
        params=SimpleNamespace(categories=CATEGORIES),
        wildcards=SimpleNamespace(dataset="mvtec"),
        log=[str(folder / "table.log")],
    )
    runpy.run_path(str(SCRIPT), init_globals={"snakemake": job})
    return (reports / "mvtec_table.md").read_text()


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """The report of a run of all categories in the test's folder."""
    for category in CATEGORIES:
        finish(tmp_path, category)
    return write_table(tmp_path, *CATEGORIES)


def test_a_run_of_one_category_keeps_the_others(tmp_path: Path, whole: str):
    text = write_table(tmp_path, "cable")
    assert "- From earlier runs, made in the same way: bottle." in text
    without = text.replace("- From earlier runs, made in the same way: bottle.\n\n", "")
    assert without == whole
    assert write_table(tmp_path, *CATEGORIES) == whole


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"false_positive_rate": 0.01}, "false_positive_rate"),
        ({"seed": 7}, "seed"),
        (
            {"provenance": metrics("cable", "dfkde", 0.75)["provenance"] | {"precision": "bf16"}},
            "precision",
        ),
    ],
)
def test_other_settings_are_not_mixed_and_the_whole_report_is_kept(
    tmp_path: Path, whole: str, changes: dict, what: str
):
    finish(tmp_path, "cable", **changes)
    text = write_table(tmp_path, "cable")
    assert "1 of 2 categories" in text
    assert f"Results of bottle from earlier runs were made otherwise ({what})" in text
    kept = tmp_path / "reports" / "mvtec_kept"
    assert f"Kept reports of all categories, in {kept}: rate0.05_fp32_seed42." in text
    assert (kept / "rate0.05_fp32_seed42" / "mvtec_table.md").read_text() == whole


def test_what_is_not_finished_is_not_read(tmp_path: Path, whole: str):
    cell = tmp_path / "results" / "mvtec" / "bottle" / "dfkde" / "resnet18"
    (cell / "replicates.h5").unlink()
    assert "not in this report (bottle)" in write_table(tmp_path, "cable")
