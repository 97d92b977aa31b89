"""Calibration images added to a finished run: extracted alone, they set every threshold."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import textured_image
from runs import PAGE, TABLE, checked, edited_config, planned_jobs, said, snakemake, spoken

from defectbench.deployment.detector import Detector
from defectbench.evaluation.map_geometry import pixel_threshold
from defectbench.evaluation.promises import CALIBRATION, Asked, promise
from defectbench.map_file import open_maps
from defectbench.records import read_held_out
from defectbench.storage import read_json

CELL = "results/parts/plate/fre_small/efficientnet_lite0"
DETECTOR = f"{CELL}/detector.onnx"


@pytest.fixture(scope="module")
def calibrated(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run with twenty good parts of one category, and what it said."""
    base = tmp_path_factory.mktemp("calibrated")
    folder = base / "run"
    shutil.copytree(finished, folder, symlinks=True)
    (base / "confirmed" / "plate").mkdir(parents=True)
    for number in range(20):
        good = textured_image(np.random.default_rng(100 + number), "RGB", defective=False)
        good.save(base / "confirmed" / "plate" / f"{number:03}.png")
    with edited_config(folder) as config:
        config["datasets"]["parts"]["calibration"] = str(base / "confirmed")
        config["categories"] = ["plate"]
    run = snakemake(folder, TABLE, PAGE, DETECTOR)
    assert run.returncode == 0, said(run)
    return folder


def test_they_alone_are_extracted(calibrated: Path):
    log = (calibrated / "logs/parts/plate/features.log").read_text()
    assert "extracts 20 of 48 images: lanczos64/efficientnet_lite0\n" in log
    assert planned_jobs(calibrated, TABLE, PAGE, DETECTOR) == {}


@pytest.mark.parametrize("method", ["dfkde_small", "fre_small"])
def test_their_scores_set_the_threshold_and_held_out_ones_stay(
    finished: Path, calibrated: Path, method: str
):
    own = Path(CELL).parents[1] / method / "efficientnet_lite0"
    cell = calibrated / own
    for name in ("held_out_scores.tsv", "scores.tsv"):
        assert (cell / name).read_bytes() == (finished / own / name).read_bytes()
    metrics, before = (read_json(root / own / "metrics.json") for root in (calibrated, finished))
    found = read_held_out(cell / "calibration_scores.tsv")
    assert found.paths == [f"calibration/good/{number:03}.png" for number in range(20)]
    promised = promise(found.scores, found.groups, Asked(0.05))
    assert metrics["thresholds"]["honest"] == promised["threshold"]
    assert metrics["promise"]["folds"] == CALIBRATION
    assert metrics["held_out"] == before["held_out"]
    assert metrics["held_out"]["threshold"] == before["thresholds"]["honest"]
    assert (metrics["promise"]["estimate"], before["promise"]["estimate"]) == ("", "few")


def test_their_maps_set_the_pixel_threshold(calibrated: Path):
    with open_maps(calibrated / CELL / "maps.h5") as (maps, _):
        expected = pixel_threshold(maps["calibration"], np.full(20, ""), Asked(0.05))
    pixels = read_json(calibrated / CELL / "pixel_metrics.json")
    assert pixels["pixel_threshold"] == expected


def test_the_exported_detector_carries_their_threshold_and_says_so(calibrated: Path):
    metadata = Detector(calibrated / DETECTOR, 1).metadata
    metrics = read_json(calibrated / CELL / "metrics.json")
    assert metadata["threshold"]["value"] == metrics["thresholds"]["honest"]
    scores = read_held_out(calibrated / CELL / "calibration_scores.tsv").scores
    assert metadata["held_out_scores"] == sorted(scores.tolist())
    entry = metadata["calibration"]
    assert (entry["folder"], entry["images"], entry["parts"]) == ("confirmed", 20, 20)
    assert entry["statistics"]["images"] == 20
    assert metadata["training_images"]["images"] == 16
    pixels = read_json(calibrated / CELL / "pixel_metrics.json")
    assert metadata["map_scale"]["threshold"] == pixels["pixel_threshold"]
    assert "history" not in metadata


def test_page_and_look_before_a_run_say_how_many_there_are(calibrated: Path):
    page = (calibrated / PAGE).read_text()
    assert "20 calibration images</td>" in page
    assert "16 held-out training images</td>" in page
    run = checked(calibrated)
    assert run.returncode == 0, said(run)
    assert "  plate: 20 calibration images, which set the thresholds\n" in run.stdout


def test_a_missing_folder_ends_in_one_line(calibrated: Path):
    setting = ("--config", "datasets={parts: {calibration: nowhere}}")
    run = snakemake(calibrated, "-n", TABLE, *setting)
    assert run.returncode != 0
    (line,) = spoken(said(run))
    assert line.startswith("error: config: datasets.parts.calibration: nowhere: no such folder")
