"""Studies through Snakemake: from a finished run to answers, and only what a change touches."""

import csv
import shutil
from pathlib import Path

import pytest
from runs import edited_config, planned_jobs, said, snakemake

from defectbench.storage import read_json

REPORT = "reports/parts_studies.md"
STUDIES = {
    "training_size": {"images": [8, "all"], "repeats": 2},
    "contamination": {"shares": [0, 0.1], "repeats": 2, "trimmed": 0.1},
    "robustness": {"brightness": [-30], "noise": [4]},
}


@pytest.fixture(scope="module")
def studied(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of all studies on one category, of which one detector trims."""
    folder = tmp_path_factory.mktemp("studied") / "run"
    shutil.copytree(finished, folder, symlinks=True)
    with edited_config(folder) as config:
        config |= {"studies": STUDIES, "categories": ["plate"]}
        config["methods"]["fre_small"]["trimmed"] = 0.1
    run = snakemake(folder, REPORT)
    assert run.returncode == 0, said(run)
    return folder


def with_studies(folder: Path, shown: bool = False, **changes: object) -> None:
    with edited_config(folder) as config:
        config["datasets"]["parts"]["studies"] = shown
        config["studies"] = STUDIES | changes


def test_the_report_answers_shows_and_lists_every_point(studied: Path):
    text = (studied / REPORT).read_text()
    assert text.splitlines()[2].startswith("Covers 1 of 2 categories: plate.")
    for question in ("How many good parts", "What if some of them", "when the pictures change"):
        assert question in text
    for study in STUDIES:
        assert f"![{study.replace('_', ' ')} of plate](parts_studies/{study}_plate.svg)" in text
        svg = (studied / "reports" / "parts_studies" / f"{study}_plate.svg").read_text()
        assert "dfkde_small" in svg
        assert "fre_small" in svg
    with open(studied / "reports" / "parts_studies.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    # of each detector two sizes, two shares with and without the remedy, and so with three lights
    assert len(rows) == 2 * (2 + 2 * 2 + 3 * 2)
    for row in rows:
        figures = (row[f"image_auroc{each}"] for each in ("_low", "", "_high"))
        low, value, high = map(float, figures)
        assert low <= value <= high


@pytest.mark.parametrize("method", ["dfkde_small", "fre_small"])
def test_all_images_and_clean_images_give_what_the_benchmark_gives(studied: Path, method: str):
    cell = studied / "results/parts/plate" / method / "efficientnet_lite0"
    snakemake(studied, f"{cell.relative_to(studied)}/metrics.json")
    figures = read_json(cell / "metrics.json")
    everything = read_json(cell / "studies" / "training_size.json")["levels"][-1]
    light = studied / "results/parts/plate/studies/robustness/efficientnet_lite0.json"
    methods = read_json(light)["methods"]
    clean = next(level for level in methods[method]["levels"] if level["perturbation"] == "clean")
    for level in (everything, clean):
        assert level["image_auroc"] == figures["metrics"]["image_auroc"]
        assert level["repeats"][0]["threshold"] == figures["thresholds"]["honest"]
        assert level["recall"] == figures["metrics"]["honest_recall"]
        assert level["intervals"]["image_auroc"] == figures["intervals"]["image_auroc"]


def test_another_severity_repeats_that_study_alone(studied: Path):
    try:
        with_studies(studied, robustness={"brightness": [-30, -10], "noise": [4]})
        assert planned_jobs(studied, REPORT) == {"study_robustness": 1, "studies": 1}
        with_studies(studied, training_size={"images": [8, 12, "all"], "repeats": 2})
        assert planned_jobs(studied, REPORT) == {"study": 2, "studies": 1}
    finally:
        with_studies(studied)
    assert planned_jobs(studied, REPORT) == {}


def test_the_page_shows_studies_only_where_the_dataset_asks_for_it(studied: Path):
    page = "reports/parts.html"
    assert not {job for job in planned_jobs(studied, page) if job.startswith("stud")}
    try:
        with_studies(studied, shown=True)
        run = snakemake(studied, page)
        assert run.returncode == 0, said(run)
        text = (studied / page).read_text()
        for question in ("How many good parts", "What if some of them", "when the pictures change"):
            assert text.count(question) == 1
        assert planned_jobs(studied, page) == {}
    finally:
        with_studies(studied)
    assert planned_jobs(studied, page) == {"page": 1}  # as it was, whatever lies there


def test_no_study_of_cached_features_asks_for_an_image(studied: Path):
    for study in ("training_size", "contamination"):
        target = f"results/parts/plate/fre_small/efficientnet_lite0/studies/{study}.json"
        assert planned_jobs(studied, "--forcerun", "study", "--", target) == {"study": 1}


def test_a_detector_is_taken_across_to_another_category(studied: Path):
    pair = {"train": "plate", "test": "ring"}
    target = "results/parts/plate/fre_small/efficientnet_lite0/studies/across.json"
    try:
        with_studies(studied, across=[pair])
        assert planned_jobs(studied, REPORT)["study_across"] == 2
        run = snakemake(studied, target)
        assert run.returncode == 0, said(run)
        own, _, other, again = read_json(studied / target)["levels"]
        assert [own["level"], other["level"], again["variant"]] == ["plate", "ring", "reset"]
        clean = read_json(studied / target.replace("across", "training_size"))["levels"][-1]
        assert own["recall"] == clean["recall"]
        with_studies(studied, across=[{"train": "parts/plate", "test": "parts/ring"}])
        assert planned_jobs(studied, target) == {}  # the same, spelled out
        with_studies(studied, across=[{"train": "plate", "test": "rnig"}])
        refused = snakemake(studied, "--dry-run", REPORT)
        message = "studies.across.test: unknown value 'rnig'; did you mean ring?"
        assert message in said(refused)
    finally:
        with_studies(studied)
