"""A day on the line that comes back into the next run, reviewed."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import textured_image
from runs import PAGE, ROOT, TABLE, checked, edited_config, planned_jobs, said, snakemake, spoken

from defectbench.records import read_scores
from defectbench.score_table import read_rows
from defectbench.storage import read_json

CELL = "results/parts/plate/fre_small/efficientnet_lite0"
SCRIPT = ROOT / "workflow" / "scripts" / "score_folder.py"


@pytest.fixture(scope="module")
def reviewed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the reviewed parts of a day; the verdicts on the last two were wrong."""
    base = tmp_path_factory.mktemp("reviewed")
    folder, today = base / "run", base / "today"
    shutil.copytree(finished, folder, symlinks=True)
    (today / "shift").mkdir(parents=True)
    for number in range(8):
        image = textured_image(np.random.default_rng(200 + number), "RGB", defective=number > 4)
        image.save(today / "shift" / f"{number}.png")
    with edited_config(folder) as config:
        config["categories"] = ["plate"]
    run = snakemake(folder, f"{CELL}/detector.onnx")
    assert run.returncode == 0, said(run)
    command = [sys.executable, SCRIPT, folder / CELL / "detector.onnx", today]
    scored = subprocess.run([*command, "--output", base / "scores"], capture_output=True, text=True)
    assert scored.returncode == 0, scored.stderr
    rows = list(read_rows(base / "scores"))
    with open(base / "scores" / "review.csv", "w", newline="") as stream:
        answers = [(row["path"], "wrong" if k > 5 else "right") for k, row in enumerate(rows)]
        csv.writer(stream).writerows([("path", "review"), *answers])
    with edited_config(folder) as config:
        review = {"csv": str(base / "scores" / "review.csv"), "images": str(today)}
        config["datasets"]["parts"]["review"] = review
        config["datasets"]["parts"]["all_categories"] = ["plate"]
    run = snakemake(folder, TABLE, PAGE)
    assert run.returncode == 0, said(run)
    return folder


def test_they_are_test_images_with_the_labels_that_the_review_confirms(reviewed: Path):
    rows = list(read_rows(reviewed.parent / "scores"))
    expected = {
        f"review__{row['path'].replace('/', '__')}": (row["verdict"] == "defective") != (k > 5)
        for k, row in enumerate(rows)
    }
    test = read_scores(reviewed / CELL / "scores.tsv")
    names = [Path(path).name for path in test.paths]
    found = dict(zip(names, test.labels.astype(bool), strict=True))
    assert {name: label for name, label in found.items() if name in expected} == expected
    assert len(names) == 12 + 8


def test_they_alone_are_extracted_and_the_threshold_stays(reviewed: Path, finished: Path):
    log = (reviewed / "logs/parts/plate/features.log").read_text()
    assert "extracts 8 of 36 images: lanczos64/efficientnet_lite0\n" in log
    before, after = (read_json(run / CELL / "metrics.json") for run in (finished, reviewed))
    assert before["thresholds"]["honest"] == after["thresholds"]["honest"]
    assert planned_jobs(reviewed, TABLE, PAGE) == {}


def test_page_and_look_before_a_run_say_what_changed(reviewed: Path):
    assert '<section id="reviewed">' in (reviewed / PAGE).read_text()
    (cell,) = (
        cell
        for cell in read_json(reviewed / "reports" / "parts.json")["cells"]
        if cell["method"] == "fre_small"
    )
    assert (
        cell["reviewed"]["before"]["good"] + cell["reviewed"]["reviewed"]["good"]
        == (cell["images"]["test_good"])
    )
    run = checked(reviewed)
    assert run.returncode == 0, said(run)
    assert "  plate: came back from the line: " in run.stdout


def test_another_answer_is_noticed_and_an_image_written_over_is_refused(reviewed: Path):
    review = reviewed.parent / "scores" / "review.csv"
    text = review.read_text()
    try:
        review.write_text(text.replace("right", "wrong", 1))
        assert {"source", "index", "metrics"} <= planned_jobs(reviewed, TABLE, PAGE).keys()
    finally:
        review.write_text(text)
    image = reviewed.parent / "today" / "shift" / "0.png"
    content = image.read_bytes()
    try:
        shutil.copy(image.with_name("1.png"), image)
        run = snakemake(reviewed, "-n", TABLE)
        assert run.returncode != 0
        (line,) = spoken(said(run))
        assert line.startswith(f"error: config: datasets.parts.review: {image}: no verdict on")
    finally:
        image.write_bytes(content)
