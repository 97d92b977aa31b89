"""Parts that come back from the line: what a review says of them, and where they lie then."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from made_results import write_cell, write_page
from PIL import Image

from defectbench.config import further_images
from defectbench.config.checks import check_config, check_images
from defectbench.config.schema import check_schema
from defectbench.errors import InputError
from defectbench.images.indexing import examine_category
from defectbench.names import in_table
from defectbench.provenance import file_sha256
from defectbench.score_table import COLUMNS, ScoreTable
from defectbench.sources import dataset_source
from defectbench.sources.reviewed import read_review

VERDICTS = {
    "0.png": "good",
    "1.png": "good",
    "shift 2/2.png": "defective",
    "shift 2/3.png": "defective",
    "4.png": "good",
    "5.png": "unreadable",
}


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A folder of images, `today`, and beside it what was found in them."""
    rng = np.random.default_rng(42)
    table = ScoreTable(tmp_path / "scores")
    (tmp_path / "scores").mkdir()
    for path, verdict in VERDICTS.items():
        file = tmp_path / "today" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8)).save(file)
        others = {"path": path, "verdict": verdict, "sha256": file_sha256(file)}
        table.append(dict.fromkeys(COLUMNS, "1") | {"time": "2026-01-01"} | others)
    return tmp_path


def review(folder: Path, **answers: str) -> Path:
    """A review of images by the numbers in their names."""
    file = folder / "scores" / "review.csv"
    paths = {Path(path).stem: path for path in VERDICTS}
    with open(file, "w", newline="") as stream:
        rows = [(paths[number.strip("_")], answer) for number, answer in answers.items()]
        csv.writer(stream).writerows([("path", "review"), *rows])
    return file


ANSWERS = {"_0": "right", "_1": "wrong", "_2": "Right ", "_3": "wrong", "_4": ""}


# what a review says


@pytest.mark.parametrize(("train", "split"), [(False, "test"), (True, "train")])
def test_a_verdict_that_was_wrong_means_the_opposite_and_what_was_not_reviewed_nothing(
    scored: Path, train: bool, split: str
):
    found = read_review(review(scored, **ANSWERS), scored / "today", train)
    assert {
        image.place: image.file.relative_to(scored / "today").as_posix() for image in found
    } == {
        f"{split}/good/review__0.png": "0.png",
        "test/reviewed/review__1.png": "1.png",
        "test/reviewed/review__shift 2__2.png": "shift 2/2.png",
        f"{split}/good/review__shift 2__3.png": "shift 2/3.png",
    }


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ({"_0": "yes"}, r"review\.csv: 0\.png: 'yes' is neither right nor wrong"),
        ({"_0": "right", "_0_": "wrong"}, "calls the verdict on 0.png right and wrong"),
        ({"_5": "right"}, r"5\.png: no verdict on this content in the tables beside"),
    ],
)
def test_a_review_that_says_nothing_clear_is_refused(scored: Path, answers: dict, complaint: str):
    with pytest.raises(InputError, match=complaint):
        read_review(review(scored, **answers), scored / "today")


def test_an_image_that_is_not_the_one_that_was_scored_is_refused(scored: Path):
    file = review(scored, _0="right")
    (scored / "today" / "0.png").write_bytes((scored / "today" / "1.png").read_bytes())
    with pytest.raises(InputError, match=r"0\.png: no verdict on this content"):
        read_review(file, scored / "today")
    (scored / "today" / "0.png").unlink()
    with pytest.raises(InputError, match=r"0\.png: cannot be read \(No such file"):
        read_review(file, scored / "today")


def test_of_a_name_that_was_used_twice_the_content_tells_which_verdict_is_meant(scored: Path):
    table = ScoreTable(scored / "scores")
    later = {"path": "0.png", "verdict": "defective", "sha256": "other"}
    table.append(dict.fromkeys(COLUMNS, "1") | {"time": "2026-01-02"} | later)
    (image,) = read_review(review(scored, _0="right"), scored / "today")
    assert image.place == "test/good/review__0.png"


def test_a_backslash_in_a_name_stands_in_review_and_table_alike(scored: Path):
    image = (scored / "today" / "0.png").rename(scored / "today" / r"a\b.png")
    row = {"path": in_table(image.name), "verdict": "good", "sha256": file_sha256(image)}
    ScoreTable(scored / "scores").append(dict.fromkeys(COLUMNS, "1") | {"time": "2026-01-01"} | row)
    file = scored / "scores" / "review.csv"
    file.write_text(f"path,review\n{in_table(image.name)},right\n")
    assert [each.file for each in read_review(file, scored / "today")] == [image]


def test_a_pipe_in_an_images_place_is_named(scored: Path):
    (scored / "today" / "0.png").unlink()
    os.mkfifo(scored / "today" / "0.png")
    with pytest.raises(InputError, match=r"0\.png: cannot be read \(it is no file"):
        read_review(review(scored, _0="right"), scored / "today")


def test_a_file_that_is_no_review_is_named(scored: Path):
    file = scored / "scores" / "review.csv"
    with pytest.raises(InputError, match=r"review\.csv: cannot be read as a review"):
        read_review(file, scored / "today")
    file.write_text("path,answer\n0.png,right\n")
    with pytest.raises(InputError, match=r"review\.csv: needs the columns path and review"):
        read_review(file, scored / "today")


# in a dataset


@pytest.fixture
def settings(scored: Path, small_dataset: Path) -> dict:
    method = {"scorer": "pca_fre", "layer": "a", "preprocessing": "p", "backbones": ["x"]}
    config = {
        "datasets": {
            "parts": {
                "source": "folder",
                "path": str(small_dataset),
                "methods": ["fre"],
                "all_categories": ["plate"],
                "review": {
                    "csv": str(review(scored, **ANSWERS)),
                    "images": str(scored / "today"),
                },
            }
        },
        "preprocessings": {"p": {"interpolation": "lanczos", "size": 64}},
        "methods": {"fre": method},
    }
    check_schema(config)
    return config


def laid_out(config: dict, folder: Path) -> Path:
    """A category's folder as rule `source` makes it."""
    reviewed = further_images.reviewed_images(config, "parts", "plate")
    dataset_source("parts", config).put("plate", folder / "plate", reviewed=reviewed)
    return folder / "plate"


@pytest.mark.parametrize("own", [{}, {"good": "train/good", "test_good": "test/good"}])
def test_they_are_images_of_the_category_and_nothing_is_put_into_the_users_folders(
    settings: dict, small_dataset: Path, tmp_path: Path, own: dict
):
    settings["datasets"]["parts"] |= own | {"groups": r"shift \d"}
    check_config(settings)
    before = sorted(small_dataset.rglob("*"))
    rows, notes = examine_category(laid_out(settings, tmp_path), None, False, None, {})
    told = "came back from the line: 2 good and 2 defective test images, 0 training images"
    assert told in notes
    assert sorted(small_dataset.rglob("*")) == before
    came_back = [row for row in rows if "review__" in row.path]
    assert [(row.split, row.label, row.defect) for row in came_back] == [
        *[("test", 0, "good")] * 2,
        *[("test", 1, "reviewed")] * 2,
    ]
    assert len(rows) == len(came_back) + (21 if own else 28)
    if own:  # else stage `index` finds the groups
        assert {row.group for row in came_back} == {"", "shift 2"}


def test_a_review_of_each_category_has_the_category_in_its_path(settings: dict, tmp_path: Path):
    entry = settings["datasets"]["parts"]
    del entry["all_categories"]
    with pytest.raises(InputError, match=r"put \{category\} into csv and images"):
        check_images(settings, "parts")
    (tmp_path / "scores").rename(tmp_path / "plate")
    entry["review"] |= {"csv": str(tmp_path / "{category}" / "review.csv")}
    settings["categories"] = "all"
    assert len(further_images.reviewed_images(settings, "parts", "plate")) == 4
    assert further_images.reviewed_images(settings, "parts", "ring") == []
    (tmp_path / "plate").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"parts\.review: .*: no reviewed image of plate, ring"):
        check_images(settings, "parts")


# on the page


def test_the_page_says_what_they_change_where_there_are_some(tmp_path: Path):
    images = [(f"test/good/{k}.png", 0, "good") for k in range(30)]
    images += [(f"test/dent/{k}.png", 1, "dent") for k in range(30)]
    without = len(images)
    images += [(f"test/good/review__{k}.png", 0, "good") for k in range(4)]
    images += [(f"test/reviewed/review__{k}.png", 1, "reviewed") for k in range(6)]
    scores = np.repeat([0.0, 9, 9, 0], [30, 30, 4, 6])  # all of the reviewed ones are mistakes
    held_out = np.linspace(0, 1, 30)
    cells = [
        write_cell(tmp_path, "parts", name, ("fre", "net"), images[:end], scores[:end], held_out)
        for name, end in (("plate", len(images)), ("ring", without))
    ]
    text = write_page(tmp_path, "parts", cells, []).read_text()
    section = text.split('<section id="reviewed">')[1].split("</section>")[0]
    rows = [row.split("</tr>")[0] for row in section.split("<tr data-category=")[1:]]
    assert all(row.startswith('"plate"') for row in rows)
    figures = [[cell.split("<")[0] for cell in row.split('"number">')[1:]] for row in rows]
    counts = [[cell.split(" ")[0] for cell in row] for row in figures]
    assert counts == [
        ["30", "30", "0", "0"],
        ["4", "6", "1000", "1000"],
        ["34", "36", "167", "118"],
    ]
