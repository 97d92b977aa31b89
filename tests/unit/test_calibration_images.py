"""Good parts that train nothing: where they lie, what they set, what is told of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_results import NOTHING, PROMISE, made_metrics, write_cell, write_images, write_page
from PIL import Image
from specifications import specification

from defectbench.config import further_images
from defectbench.config.checks import check_config, check_images
from defectbench.config.schema import check_schema
from defectbench.errors import InputError
from defectbench.evaluation.good_images import GoodImages
from defectbench.evaluation.image_figures import image_figures
from defectbench.evaluation.promises import CALIBRATION, EACH, FOLDS, TOLERANCE, Asked, promise
from defectbench.images.index import IndexRow, group_notes, join_copies, write_index
from defectbench.images.indexing import examine_category
from defectbench.images.notes import copy_notes
from defectbench.records import (
    HeldOutScores,
    Scores,
    read_held_out,
    write_held_out,
    write_specified,
)
from defectbench.reports.decision_text import who_sets
from defectbench.reports.flags import legend, threshold_images, warnings
from defectbench.scorers.pca_fre import PcaFre
from defectbench.sources import dataset_source
from defectbench.storage import read_json, write_arrays
from defectbench.studies.frozen import read_detector
from defectbench.studies.trial import open_category


def random_scores(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=count)


@pytest.fixture
def settings(small_dataset: Path, tmp_path: Path) -> dict:
    """Two categories, with four confirmed good parts of each."""
    rng = np.random.default_rng(42)
    for name in ("plate", "ring"):
        folder = tmp_path / "confirmed" / name / "lot1"
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
    method = {"scorer": "pca_fre", "layer": "a", "preprocessing": "p", "backbones": ["x"]}
    config = {
        "datasets": {
            "parts": {
                "source": "folder",
                "path": str(small_dataset),
                "methods": ["fre"],
                "calibration": str(tmp_path / "confirmed"),
            }
        },
        "preprocessings": {"p": {"interpolation": "lanczos", "size": 64}},
        "methods": {"fre": method},
    }
    check_schema(config)
    return config


def laid_out(config: dict, category: str, folder: Path) -> Path:
    """A category's folder as rule `source` makes it."""
    calibration = further_images.calibration_folder(config, "parts", category)
    dataset_source("parts", config).put(category, folder / category, calibration=calibration)
    return folder / category


# where they come from


def test_they_lie_in_a_folder_of_each_category_or_in_that_of_the_only_one(
    settings: dict, tmp_path: Path
):
    check_config(settings)
    check_images(settings, "parts")
    confirmed = tmp_path / "confirmed"
    assert further_images.calibration_folder(settings, "parts", "ring") == confirmed / "ring"
    entry = settings["datasets"]["parts"]
    entry |= {"all_categories": ["ring"], "calibration": str(confirmed / "ring" / "lot1")}
    assert (
        further_images.calibration_folder(settings, "parts", "ring") == confirmed / "ring" / "lot1"
    )
    del entry["calibration"]
    assert further_images.calibration_folder(settings, "parts", "ring") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration": "nowhere"}, r"datasets\.parts\.calibration: nowhere: no such folder"),
        ({"calibration": "."}, r"parts\.calibration: plate: no images; it is for good parts of"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused_before_any_job(
    settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict, message: str
):
    monkeypatch.chdir(tmp_path)
    settings["datasets"]["parts"] |= changes
    with pytest.raises(InputError, match=message):
        check_images(settings, "parts")


def test_features_made_elsewhere_have_a_split_in_place_of_the_key(settings: dict):
    settings["datasets"]["parts"]["source"] = "features"
    with pytest.raises(InputError, match=r"parts\.calibration: not a key of this source"):
        check_config(settings)


def test_they_are_rows_of_the_index_with_groups_as_the_others(settings: dict, tmp_path: Path):
    entry = settings["datasets"]["parts"]
    rows, _ = examine_category(laid_out(settings, "plate", tmp_path), None, False, None, {})
    own = [row for row in rows if row.split == "calibration"]
    assert [(row.path, row.label, row.defect) for row in own] == [
        (f"calibration/good/lot1__00{k}.png", 0, "good") for k in range(4)
    ]
    assert [row.path for row in rows] == sorted(row.path for row in rows)
    # folders as people have them say their groups to the index
    entry |= {"good": "train/good", "test_good": "test/good", "groups": r"lot\d"}
    rows, _ = examine_category(laid_out(settings, "ring", tmp_path), None, False, None, {})
    assert {row.group for row in rows if row.split == "calibration"} == {"lot1"}
    assert {row.group for row in rows if row.split != "calibration"} == {""}


def test_one_that_cannot_be_read_is_named_by_its_users_path(settings: dict, tmp_path: Path):
    broken = tmp_path / "confirmed" / "plate" / "lot1" / "002.png"
    broken.write_bytes(b"no image")
    folder = laid_out(settings, "plate", tmp_path)
    with pytest.raises(InputError) as caught:
        examine_category(folder, None, False, None, {})
    first, second = str(caught.value).splitlines()
    assert (
        first == f"{settings['datasets']['parts']['path']}/plate: mend or remove, or set "
        "`unreadable: skip` of the dataset"
    )
    assert second.startswith(f"  {broken}: cannot be read as an image")


def test_copies_and_parts_of_other_splits_are_told(settings: dict, tmp_path: Path):
    rows, _ = examine_category(laid_out(settings, "plate", tmp_path), None, False, None, {})
    copied = [replace(row, sha256=rows[0].sha256) for row in rows]
    with pytest.raises(InputError, match=r"copies of training images.*; remove them from `cali"):
        list(copy_notes(copied))
    assert all(not row.group for row in join_copies(rows))  # they join nothing across splits
    told = group_notes([replace(row, group="tile 1") for row in rows])
    assert any(
        "both train and calibration; the threshold is one for known parts" in n for n in told
    )
    tested = IndexRow("test/a", "test", 0, "good", sha256=rows[0].sha256)
    (note,) = copy_notes([rows[0], tested])
    assert note.startswith("1 test images are copies of calibration images, the first is test/a")


# what they set


def good_scores(count: int, split: str, shift: float = 0.0) -> HeldOutScores:
    paths = [f"{split}/good/{row:03}.png" for row in range(count)]
    scores = shift + random_scores(count)
    return HeldOutScores(paths, np.full(count, ""), np.arange(count), scores)


LABELS = np.repeat([0, 1], 40)
TEST = Scores(
    [f"test/{row}.png" for row in range(80)],
    LABELS,
    np.array(["good", "dent"])[LABELS],
    np.full(80, ""),
    random_scores(80, seed=1) + 1 + 4 * LABELS,
)


def figures(held_out: int, calibration: int, asked: Asked) -> tuple[GoodImages, dict]:
    good = GoodImages(good_scores(held_out, "train"), good_scores(calibration, "calibration", 1))
    return good, image_figures(TEST, good, asked, 42, "plate")[0]


@pytest.mark.parametrize("split", ["held_out", "calibration"])
def test_test_images_of_parts_that_made_the_detector_are_a_warning(split: str):
    good, found = figures(60, 40, Asked(0.05))
    assert "known" not in found["flags"]
    getattr(good, split).groups[3] = "p"
    test = TEST._replace(groups=np.where(np.arange(80) == 5, "p", ""))
    assert "known" in image_figures(test, good, Asked(0.05), 42, "plate")[0]["flags"]


def test_the_threshold_is_what_their_scores_promise_and_the_held_out_one_stays_beside_it():
    good, found = figures(60, 40, Asked(0.05))
    of_calibration = promise(good.calibration.scores, [""] * 40, Asked(0.05, folds=EACH))
    assert found["promise"] == of_calibration | {"folds": CALIBRATION}
    assert found["thresholds"]["honest"] == of_calibration["threshold"]
    of_held_out = promise(good.held_out.scores, [""] * 60, Asked(0.05))
    assert of_held_out.items() <= found["held_out"].items()
    called = TEST.scores >= of_held_out["threshold"]
    assert found["held_out"]["false_alarm_rate"] == called[:40].mean()
    assert found["held_out"]["found_rate"] == called[40:].mean()
    assert found["images"] == {
        "train": 60,
        "calibration": 40,
        "test_good": 40,
        "test_defective": 40,
    }


def test_an_estimate_of_few_folds_becomes_a_promise():
    _, without = figures(60, 0, Asked(0.05, folds=FOLDS))
    assert (without["promise"]["estimate"], "estimate" in without["flags"]) == (FOLDS, True)
    assert without["promise"].items() <= without["held_out"].items()
    _, found = figures(60, 40, Asked(0.05, folds=FOLDS))
    assert (found["promise"]["estimate"], "estimate" in found["flags"]) == ("", False)
    assert found["held_out"]["estimate"] == FOLDS


def test_too_few_of_them_are_an_estimate_and_say_how_many_it_takes():
    _, found = figures(100, 30, Asked(0.05, TOLERANCE))
    (caution,) = (text for text in found["cautions"] if "estimate" in text)
    assert "5 % takes 59 calibration images; a threshold above all 30 here would keep" in caution


def test_without_any_there_are_no_rows_and_readers_cope(tmp_path: Path):
    write_held_out(tmp_path / "calibration_scores.tsv", [], [], NOTHING)
    good = GoodImages(good_scores(20, "train"), read_held_out(tmp_path / "calibration_scores.tsv"))
    assert (good.calibrated, good.setting, good.maps) == (False, good.held_out, "held_out")


def test_studies_neither_fit_nor_judge_them(tmp_path: Path):
    splits = ["calibration"] * 3 + ["test"] * 4 + ["train"] * 5
    rows = [
        IndexRow(f"{split}/{k}", split, int(k == 4), "", sha256=str(k))
        for k, split in enumerate(splits)
    ]
    write_index(tmp_path / "index.tsv", rows)
    X = np.ones((12, 3), np.float32)
    write_arrays(tmp_path / "features.h5", {"X": X}, {"provenance": {"preprocessing": {}}})
    files = [str(tmp_path / name) for name in ("index.tsv", "features.h5")]
    with open_category(*files, "/", ["X"], "", "plate", "nearest_neighbour") as (category, _):
        found = [category.images[key] for key in ("train", "test_good", "test_defective")]
        assert found == [5, 3, 1]
        assert category.test.tolist() == [3, 4, 5, 6]


def test_studies_keep_the_held_out_threshold(tmp_path: Path):
    cell = written(tmp_path, calibration=5 + random_scores(40))
    method = {"scorer": "pca_fre", "parameters": {}, "features_group": "/", "layers": ["X"]}
    files = [str(cell / name) for name in ("scores.tsv", "metrics.json")]
    metrics = read_json(cell / "metrics.json")
    model = tmp_path / "model.h5"
    fitted = PcaFre().fit(random_scores(100).reshape(20, 5))
    write_specified(model, fitted.to_arrays(), specification())
    detector = read_detector(method, str(model), *files, "0")
    assert detector.threshold == metrics["held_out"]["threshold"]
    assert detector.threshold < metrics["thresholds"]["honest"]


# what is told of them


def test_words_name_the_images_that_set_the_threshold():
    calibrated = PROMISE | {"folds": CALIBRATION}
    assert threshold_images([PROMISE]) == "training images"
    assert threshold_images([calibrated]) == "calibration images"
    assert threshold_images([calibrated, PROMISE]) == "training images and calibration images"
    entries = [
        made_metrics("plate", "a", 0.9, flags=["below"]),
        made_metrics("ring", "a", 0.9, flags=["below"], promise=calibrated),
    ]
    told = legend(entries)
    assert ["training images let expect" in line for line in told] == [True, False]
    assert ["calibration images let expect" in line for line in told] == [False, True]
    cells = [
        {"category": name, "detector": "a", "flags": ["above", "odd"], "honest": promised}
        for name, promised in (("plate", PROMISE), ("ring", calibrated))
    ]
    shown = [{"category": name, "shown": "a"} for name in ("plate", "ring")]
    assert warnings({"categories": shown, "cells": cells})[:2] == [
        "On plate, the threshold rejects more good parts than its training images let expect.",
        "On ring, the threshold rejects more good parts than its calibration images let expect.",
    ]


IMAGES = [(path, int(label), kind) for path, label, kind in zip(*TEST[:3], strict=True)]


def written(root: Path, calibration: np.ndarray) -> Path:
    scores = TEST.scores, TEST.scores[:40] - 1, calibration
    return write_cell(root, "parts", "plate", ("fre", "net"), IMAGES, *scores)


def test_the_page_compares_both_thresholds_and_shows_which_image_sets_one_alone(tmp_path: Path):
    calibration = 1 + random_scores(40)
    calibration[[7, 20]] = (
        50,
        40,
    )  # of forty one may lie above, and without the first it is the other
    cell = written(tmp_path, calibration)
    folder = write_images(tmp_path, "plate", [f"calibration/good/{k}.png" for k in (7, 20)])
    text = write_page(tmp_path, "parts", [cell], [folder]).read_text()
    section = text.split('<section id="calibration">')[1].split("</section>")[0]
    metrics = read_json(cell / "metrics.json")
    for which in (metrics["promise"], metrics["held_out"]):
        assert f'<td class="number">{which["threshold"]:.6g}</td>' in section
    assert "40 calibration images</td>" in section
    assert "40 held-out training images</td>" in section
    assert "is set from calibration images alone, good parts that train nothing" in text
    setting = text.split('<section id="set-by">')[1].split("</section>")[0]
    told = "2 images with the median score 45, look like none of the others and set the threshold"
    assert f"calibration/good/7.png and calibration/good/20.png, {told} alone." in setting
    assert setting.count("<img src=") == 2
    assert "held out<br>" not in setting
    (decided,) = read_json(tmp_path / "reports" / "parts.json")["cells"]
    assert decided["set_by"]["fitted_without"] is None
    assert "held-out" not in who_sets(decided)
    points = (tmp_path / "reports" / "parts_operating_points.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in points[1:3]] == ["honest", "held out"]
    table = (tmp_path / "reports" / "parts_table.md").read_text()
    assert "40 defect-free images to train, 40 to calibrate, 40 good and 40 defective" in table
    assert "*Honest threshold*: set from calibration images alone" in table


def test_where_there_are_none_nothing_is_said_of_them(tmp_path: Path):
    cell = written(tmp_path, NOTHING)
    page = write_page(tmp_path, "parts", [cell], []).read_text()
    table = (tmp_path / "reports" / "parts_table.md").read_text()
    for text in (page.split('<script type="application/json"')[0], table):
        assert "alibrat" not in text
