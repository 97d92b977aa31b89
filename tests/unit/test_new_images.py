"""Unlabelled images: scored by a detector, shown on the page by the one that is recommended."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_detectors import write_images
from made_results import write_cell, write_page
from PIL import Image

from defectbench.deployment.new_images import MOST_PICTURES, score_new_images
from defectbench.reports import verdicts
from defectbench.reports.verdicts import read_new_images
from defectbench.score_table import COLUMNS
from defectbench.storage import read_json

DECISION = {
    "categories": [{"category": "plate", "shown": "b net"}, {"category": "ring", "shown": "a net"}],
    "detectors": [{"detector": name} for name in ("a net", "b net", "c net")],
}


@pytest.fixture(scope="module")
def scored(made: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 good images, 8 defective ones, a broken one and a pipe, scored by a small FRE."""
    folder = tmp_path_factory.mktemp("new_images")
    images = write_images(folder / "today" / "shift 1", seed=5, n_good=22, n_defective=8)
    images[3].with_name("broken.png").write_bytes(b"no image")
    os.mkfifo(images[3].with_name("pipe.png"))
    output = folder / "results" / "parts" / "plate" / "fre" / "net" / "new_images"
    score_new_images(made["path"], folder / "today", output, 1)
    return output


def test_every_readable_image_is_scored_and_the_others_are_listed(scored: Path):
    with open(scored / "scores.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    unreadable = ["shift 1/broken.png", "shift 1/pipe.png"]
    assert [row["path"] for row in rows if row["verdict"] == "unreadable"] == unreadable
    assert len(rows) == 32
    assert {row["verdict"] for row in rows[22:30]} == {"defective"}
    summary = read_json(scored / "summary.json")
    assert summary["unreadable"] == unreadable
    assert summary["same_world"]["above"]["count"] == summary["defective"] >= 8


def test_pictures_with_maps_are_made_of_the_highest_scores_alone(scored: Path):
    drawn = {path.stem for path in (scored / "pictures" / "shift 1").iterdir()}
    assert len(drawn) == MOST_PICTURES
    assert drawn < {f"{number:04}.png" for number in range(22, 30)}
    with Image.open(next((scored / "pictures" / "shift 1").iterdir())) as picture:
        width, height = picture.size
    assert width / height > 3  # image, map and overlay of 40 by 32 pixels
    assert height <= 200


def test_an_empty_folder_is_no_error(tmp_path: Path, made: dict):
    (tmp_path / "today").mkdir()
    score_new_images(made["path"], tmp_path / "today", tmp_path / "out", 1)
    assert read_json(tmp_path / "out" / "summary.json")["images"] == 0


def written(root: Path, category: str, method: str, scores: list[float]) -> Path:
    """What the job writes, for scores of one's own and the threshold 1."""
    folder = root / category / method / "net" / "new_images"
    (folder / "pictures").mkdir(parents=True)
    lines = [",".join(COLUMNS)]
    for number, score in enumerate(scores):
        verdict = "defective" if score >= 1 else "good"
        lines.append(f"{number}.png,{score},1.0,{verdict},0.5000,7.0,2026-01-01T00:00:00+00:00,0,0")
        (folder / "pictures" / f"{number}.png.webp").write_bytes(b"picture")
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    summary = {"images": len(scores), "defective": sum(score >= 1 for score in scores)}
    (folder / "summary.json").write_text(json.dumps(summary | {"unreadable": []}))
    return folder


def test_the_detector_of_each_category_is_the_one_that_the_decision_shows(tmp_path: Path):
    folders = [written(tmp_path, c, m, [1.5]) for c in ("plate", "ring") for m in ("a", "b", "c")]
    found = read_new_images(folders, DECISION)
    shown = [(new.category, new.detector) for new in found]
    assert shown == [("plate", "b net"), ("ring", "a net")]


def test_where_it_cannot_be_exported_the_next_of_the_ranking_stands_in(tmp_path: Path):
    folders = [written(tmp_path, "ring", method, [1.5]) for method in ("c", "b")]
    (new,) = read_new_images(folders, DECISION)
    assert (new.detector, new.wanted) == ("b net", "a net")


def test_of_several_seeds_the_first_one_counts(tmp_path: Path):
    folders = [written(tmp_path, "ring", f"a@{seed}", [seed / 10]) for seed in (42, 43)]
    (new,) = read_new_images(folders, DECISION)
    assert (new.detector, new.rows[0]["score"]) == ("a net", 4.2)


def test_the_table_begins_with_the_highest_scores_and_ends_where_the_page_would_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verdicts, "MOST_ROWS", 2)
    monkeypatch.setattr(verdicts, "BUDGET", 40)  # of one picture
    (new,) = read_new_images([written(tmp_path, "ring", "a", [0.1, 3.0, 2.0])], DECISION)
    assert [row["score"] for row in new.rows] == [3.0, 2.0]
    assert [row["picture"] is not None for row in new.rows] == [True, False]
    assert new.left_out == 1


def test_the_page_shows_verdicts_pictures_and_what_could_not_be_read(scored: Path):
    root, rng = scored.parents[5], np.random.default_rng(0)
    images = [(f"test/good/{k}.png", 0, "good") for k in range(30)]
    images += [(f"test/dent/{k}.png", 1, "dent") for k in range(30)]
    scores = rng.normal(np.repeat([0, 3], 30))
    cells = [
        write_cell(root / "run", "parts", category, ("fre", "net"), images, scores, scores[:30])
        for category in ("plate", "ring")
    ]
    text = write_page(root / "run", "parts", cells, [], new_images=[scored]).read_text()
    section = text.split('<section id="new">')[1].split("</section>")[0]
    assert "of 30</b> reach the threshold" in section
    assert "Unreadable, left out (2): shift 1/broken.png, shift 1/pipe.png" in section
    assert section.count('<img src="data:image/webp;base64,') == MOST_PICTURES
    assert "Is it still the same world?" in section
    assert "No new images in this run: ring." in section
