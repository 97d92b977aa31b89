"""A run of some categories, or with other settings, loses no report."""

from pathlib import Path

import pytest
from made_results import run_table
from test_tables import metrics, replicates

from defectbench.storage import write_arrays, write_json, write_tsv

CATEGORIES = ["bottle", "cable"]


def finish(folder: Path, category: str, **changes: object) -> None:
    """Leave a finished cell, as the stages of one detector do."""
    entry = metrics(category, "dfkde", {"bottle": 0.95, "cable": 0.75}[category]) | changes
    own = {"dataset_sha256": f"d{category}", "images_sha256": f"i{category}"}
    entry = entry | {"provenance": entry["provenance"] | own}
    cell = folder / "results" / "mvtec" / category / "dfkde" / "resnet18"
    write_json(cell / "metrics.json", entry)
    write_arrays(cell / "replicates.h5", replicates(entry), {})
    columns = ["path", "label", "defect", "anomaly_score"]
    write_tsv(cell / "scores.tsv", columns, [("a.png", 0, "good", 1.0), ("b.png", 1, "cut", 2.0)])
    write_tsv(cell / "held_out_scores.tsv", ["path", "anomaly_score"], [("c.png", 1.0)])


def write_table(folder: Path, *categories: str) -> str:
    """The table of a run of these categories."""
    inputs = [
        folder / "results" / "mvtec" / category / "dfkde" / "resnet18" / "metrics.json"
        for category in categories
    ]
    run_table(folder, "mvtec", [str(path) for path in inputs], CATEGORIES)
    return (folder / "reports" / "mvtec_table.md").read_text()


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """The report of a run of all categories in the test's folder."""
    for category in CATEGORIES:
        finish(tmp_path, category)
    return write_table(tmp_path, *CATEGORIES)


def test_the_decision_comes_before_all_figures(whole: str):
    assert 0 < whole.index("dfkde on resnet18, the only detector that was run") < whole.index("| ")


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
