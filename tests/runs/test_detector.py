"""A detector leaves the workflow and scores as it did; what cannot leave says so first."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from runs import ROOT, edited_config, planned_jobs, said, snakemake, write_config

from defectbench.contents import Contents
from defectbench.deployment.detector import Detector
from defectbench.evaluation.promises import Asked, promise
from defectbench.receipts import Receipt, receipt_path
from defectbench.records import read_held_out, read_specification
from defectbench.storage import read_json, read_tsv

FOLDER = "results/parts/plate/{}/efficientnet_lite0"
PAGE = "reports/parts.html"
SCRIPT = ROOT / "workflow" / "scripts" / "score_folder.py"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new user's home folder, in which all of this module runs.

    Nothing else of the environment stays: a setting of the tester's own, or a sign that a machine
    tests, may keep a library from what it does elsewhere.
    """
    folder = tmp_path_factory.mktemp("home")
    with patch.dict(os.environ, {"PATH": os.environ["PATH"], "HOME": str(folder)}, clear=True):
        yield folder


@pytest.fixture(scope="module")
def exported(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ends in the detectors of one category, one of which trims its images."""
    folder = tmp_path_factory.mktemp("exported")
    write_config(folder, small_dataset)
    with edited_config(folder) as config:
        config["methods"]["fre_small"]["trimmed"] = 0.1
    run = snakemake(folder, "--config", "categories=plate", "--", "reports/parts_detectors.md")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def scored_images(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of a folder's scores by the path that the image has in the index."""
    with open(folder / "scores.csv", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["verdict"] != "unreadable"]
    return {f"test/{row['path']}": row for row in rows}


@pytest.mark.parametrize("method", ["dfkde_small", "fre_small"])
def test_new_images_score_as_in_the_workflow(
    exported: Path, small_dataset: Path, tmp_path: Path, method: str
):
    cell = exported / FOLDER.format(method)
    images = small_dataset / "plate" / "test"
    command = [sys.executable, str(SCRIPT), str(cell / "detector.onnx"), str(images)]
    run = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = scored_images(tmp_path)
    expected = read_tsv(cell / "scores.tsv")
    threshold = read_json(cell / "metrics.json")["thresholds"]["honest"]
    assert found.keys() == {row["path"] for row in expected}
    for row in expected:
        score = float(row["anomaly_score"])
        assert float(found[row["path"]]["score"]) == pytest.approx(score, rel=1e-4, abs=1e-3)
        verdict = "defective" if score >= threshold else "good"
        assert found[row["path"]]["verdict"] == verdict


def test_images_in_folders_of_ones_own_are_exported_and_shown_by_their_own_paths(
    small_dataset: Path, tmp_path: Path
):
    parts, folder = tmp_path / "own", tmp_path / "run"
    shutil.copytree(small_dataset / "plate" / "train" / "good", parts / "ok [1]")
    shutil.copytree(small_dataset / "plate" / "test" / "dent", parts / "nok" / "dent")
    shutil.copytree(small_dataset / "plate" / "test" / "dent", parts / "nok" / "more" / "dent")
    folder.mkdir()
    write_config(folder, small_dataset)
    with edited_config(folder) as config:
        methods = config["datasets"]["parts"]["methods"]
        own = {"source": "folder", "path": str(parts), "good": "ok [1]", "defective": "nok"}
        config["datasets"]["parts"] = {**own, "methods": methods}
    detector = "results/parts/own/fre_small/efficientnet_lite0/detector.onnx"
    run = snakemake(folder, "--", detector, PAGE)
    assert run.returncode == 0, said(run)
    shown = (folder / PAGE).read_text(encoding="utf-8")
    assert "nok/more/dent/000.png" in shown
    assert "ok [1]/" in shown
    assert "nok__" not in shown
    paths = {
        row["path"] for row in read_tsv(folder / detector.replace("detector.onnx", "scores.tsv"))
    }
    assert {"nok/dent/000.png", "nok/more/dent/000.png"} <= paths


def test_what_trimming_left_out_is_neither_fitted_nor_held_out_and_is_named(exported: Path):
    plain, trimmed = (exported / FOLDER.format(name) for name in ("dfkde_small", "fre_small"))
    paths = [
        {row["path"] for row in read_tsv(cell / "held_out_scores.tsv")} for cell in (plain, trimmed)
    ]
    assert [len(each) for each in paths] == [16, 15]
    left_out = read_json(trimmed / "held_out_check.json")["left_out"]
    assert set(left_out) == paths[0] - paths[1]
    assert read_json(plain / "held_out_check.json")["left_out"] == []
    assert read_specification(trimmed / "model.h5")["parameters"] == {"trimmed": 0.1}
    assert len(Detector(trimmed / "detector.onnx", 1).metadata["held_out_scores"]) == 15


def test_the_card_tells_proof_and_cost(exported: Path):
    card = read_json(exported / FOLDER.format("fre_small") / "detector_cost.json")
    assert card["proof"]["images"] == 12
    assert card["proof"]["verdict_flips"] == 0
    assert card["proof"]["largest_map_deviation"] < 1e-3
    assert 0 < card["milliseconds_median"] <= card["milliseconds_95th_percentile"]
    for figure in ("load_seconds", "images_per_second", "peak_memory_mb"):
        assert card[figure] > 0


def test_a_detector_is_exported_with_the_threshold_for_another_rate_and_metrics_stay(
    exported: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(exported, tmp_path / "run", symlinks=True))
    file = f"{FOLDER.format('dfkde_small')}/detector_at_0.12.onnx"
    before = (folder / file.replace("_at_0.12", "")).read_bytes()
    run = snakemake(folder, "--config", "categories=plate", "--", file)
    assert run.returncode == 0, said(run)
    good = read_held_out(folder / FOLDER.format("dfkde_small") / "held_out_scores.tsv")
    set_for = Detector(folder / file, 1).metadata["threshold"]
    assert set_for["value"] == promise(good.scores, good.groups, Asked(0.12))["threshold"]
    assert set_for["false_positive_rate"] == 0.12
    assert (folder / file.replace("_at_0.12", "")).read_bytes() == before
    metrics = read_json(folder / FOLDER.format("dfkde_small") / "metrics.json")
    assert metrics["false_positive_rate"] == 0.05


def test_an_export_says_what_it_does(exported: Path):
    log = exported / "logs/parts/plate/fre_small/efficientnet_lite0/detector.log"
    said = [line for line in log.read_text().splitlines() if not line.startswith("peak memory")]
    assert said[0] == "exports the network, which takes up to a minute"
    assert said[1] == "scores 12 test images as its users will"
    assert said[2].startswith("12/12 images")
    assert len(said) == 3


def test_a_detector_names_the_licences_of_its_weights_and_of_its_data(exported: Path):
    detector = Detector(exported / FOLDER.format("fre_small") / "detector.onnx", 1)
    licences = detector.metadata["licences"]
    assert "declares no licence" in licences["weights"]
    assert "not known" in licences["data"]


def test_all_that_can_be_exported_stands_in_one_table(exported: Path):
    lines = (exported / "reports" / "parts_detectors.md").read_text().splitlines()
    assert lines[2].startswith("Covers 1 of 2 categories: plate.")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "| plate" in line]
    assert [row[:3] for row in rows] == [
        ["plate", f"{name} efficientnet_lite0", "12"] for name in ("dfkde_small", "fre_small")
    ]
    assert all(row[5] == "0" and float(row[6]) > 1 for row in rows)  # flips, size of the file


def test_an_export_that_does_not_prove_itself_leaves_no_file(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Path(shutil.copytree(exported, tmp_path / "run", symlinks=True))
    monkeypatch.chdir(folder)
    cell = Path(FOLDER.format("fre_small"))
    scores = cell / "scores.tsv"
    rows = scores.read_text().splitlines()
    first = rows[1].split("\t")
    first[-1] = repr(1.01 * float(first[-1]))
    scores.write_text("\n".join([rows[0], "\t".join(first), *rows[2:]]) + "\n")
    receipt = Receipt.read(receipt_path([str(cell / "model.h5")]))
    digest = Contents(tmp_path / "contents.json").digest(scores)
    replace(receipt, outputs=receipt.outputs | {str(scores): digest}).write()
    run = snakemake(folder, "--", str(cell / "detector.onnx"))
    assert run.returncode != 0
    assert "the exported detector scores test image 0" in said(run)
    assert not list(cell.glob("*detector.onnx*"))


def test_two_exports_are_the_same_to_the_byte(exported: Path, tmp_path: Path):
    folder = Path(shutil.copytree(exported, tmp_path / "run", symlinks=True))
    detector = f"{FOLDER.format('fre_small')}/detector.onnx"
    (folder / detector).unlink()
    run = snakemake(folder, "--", detector)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (folder / detector).read_bytes() == (exported / detector).read_bytes()


def test_what_cannot_be_exported_is_refused_before_any_work(small_dataset: Path, tmp_path: Path):
    write_config(tmp_path, small_dataset)
    with edited_config(tmp_path) as config:
        config["methods"]["fre_small"]["scorer"] = "tied_autoencoder"
    run = snakemake(tmp_path, "--dry-run", f"{FOLDER.format('fre_small')}/detector.onnx")
    assert run.returncode != 0
    assert "tied_autoencoder cannot be exported" in run.stdout + run.stderr


def test_a_finished_export_is_not_made_again(exported: Path):
    assert planned_jobs(exported, f"{FOLDER.format('fre_small')}/detector.onnx") == {}


@pytest.fixture(scope="module")
def today(
    exported: Path, small_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A finished page with new images of one category, one of them broken; and their folder."""
    folder = tmp_path_factory.mktemp("today")
    run_folder = Path(shutil.copytree(exported, folder / "run", symlinks=True))
    new = Path(shutil.copytree(small_dataset / "plate" / "test", folder / "new" / "plate"))
    (new / "broken.png").write_bytes(b"no image")
    with edited_config(run_folder) as config:
        config["datasets"]["parts"]["new"] = str(new.parent)
    run = snakemake(run_folder, "--config", "categories=plate", "--", PAGE)
    assert run.returncode == 0, run.stdout + run.stderr
    return run_folder, new


def test_new_images_score_in_the_workflow_as_labelled_ones(today: tuple[Path, Path]):
    folder, _ = today
    cell = folder / FOLDER.format("fre_small")
    scored = scored_images(cell / "new_images")
    found = {path: float(row["score"]) for path, row in scored.items()}
    expected = {row["path"]: float(row["anomaly_score"]) for row in read_tsv(cell / "scores.tsv")}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert "Unreadable, left out (1): broken.png" in (folder / PAGE).read_text()


def test_an_added_image_is_scored_and_nothing_else_is_made(today: tuple[Path, Path]):
    folder, new = today
    target = ("--config", "categories=plate", "--", PAGE)
    assert planned_jobs(folder, *target) == {}
    shutil.copy(new / "good" / "000.png", new / "added.png")
    assert planned_jobs(folder, *target) == {"new_images": 2, "page": 1}
    (new / "added.png").unlink()
    assert planned_jobs(folder, *target) == {}


def test_nothing_but_named_caches_appears_in_the_home_folder(
    home: Path, today: tuple[Path, Path], tmp_path: Path
):
    folder, new = today
    detector = folder / FOLDER.format("fre_small") / "detector.onnx"
    checked = [ROOT / "workflow" / "scripts" / "check_datasets.py", "config.yaml"]
    for command in (checked, [SCRIPT, detector, new / "good", "--output", tmp_path / "scores"]):
        run = subprocess.run(
            [sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
    found = {f"`~/{path.relative_to(home)}`" for path in home.glob("*/*")}
    assert "`~/.cache/matplotlib`" in found  # it is this folder that libraries write to
    named = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert {path for path in found if path not in named} == set()
