"""Groups come from paths or from a table; what names none is refused or told."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.images.index import (
    IndexRow,
    assign_groups,
    group_names,
    group_notes,
    join_copies,
    read_index,
    write_index,
)


def row(path: str, group: str = "") -> IndexRow:
    split, defect, _ = path.split("/")
    label = int(defect != "good")
    return IndexRow(path, split, label, defect, group=group)


ROWS = [row("test/dent/t7_1.png"), row("train/good/t1_1.png"), row("train/good/t1_2.png")]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (r"t\d+", ["t7", "t1", "t1"]),
        (r"/t(\d+)_", ["7", "1", "1"]),
        (r"^(?P<split>\w+)/.*/(t\d+)", ["test/t7", "train/t1", "train/t1"]),
        (r"good/(t\d)", ["", "t1", "t1"]),
    ],
)
def test_an_expression_names_the_group(expression: str, names: list[str]):
    assert [row.group for row in assign_groups(ROWS, expression, "plate")] == names


@pytest.mark.parametrize("prefix", ["", "plate/"])
def test_a_table_names_the_group_by_path_with_or_without_category(tmp_path: Path, prefix: str):
    table = tmp_path / "groups.csv"
    table.write_text(
        f"group,path\nfirst,{prefix}train/good/t1_1.png\nsecond,{prefix}test/dent/t7_1.png\n"
    )
    found = assign_groups(ROWS, {"csv": str(table)}, "plate")
    assert [row.group for row in found] == ["second", "first", ""]
    assert [row.path for row in found] == [row.path for row in ROWS]


def test_a_table_written_on_windows_names_the_same_images(tmp_path: Path):
    table = tmp_path / "groups.csv"
    table.write_bytes(b"\xef\xbb\xbfpath,group\r\ntrain\\good\\t1_1.png,first\r\n")
    assert [row.group for row in assign_groups(ROWS, {"csv": str(table)}, "plate")][1] == "first"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_with_another_separator_is_read(tmp_path: Path, separator: str):
    table = tmp_path / "groups.csv"
    table.write_text(f"path{separator}group\ntrain/good/t1_1.png{separator}first\n")
    assert [row.group for row in assign_groups(ROWS, {"csv": str(table)}, "plate")][1] == "first"


def test_the_same_path_of_another_category_is_another_image(tmp_path: Path):
    table = tmp_path / "groups.csv"
    table.write_text("path,group\nring/train/good/t1_1.png,a\nplate/train/good/t1_1.png,b\n")
    assert assign_groups(ROWS, {"csv": str(table)}, "plate")[1].group == "b"


def test_blanks_around_a_group_and_line_ends_of_any_program_make_no_other_group(tmp_path: Path):
    table = tmp_path / "groups.csv"
    table.write_bytes(b"path, group\rtrain/good/t1_1.png, a \rtrain/good/t1_2.png,a\r")
    assert {row.group for row in assign_groups(ROWS, {"csv": str(table)}, "plate")} == {"a", ""}


def test_a_pipe_is_no_table(tmp_path: Path):
    os.mkfifo(tmp_path / "groups.csv")
    with pytest.raises(InputError, match=r"groups\.csv: is no file"):
        group_names([], {"csv": str(tmp_path / "groups.csv")}, "plate")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"groups\.csv: cannot be read.*No such file"),
        ("file,group\na,b\n", r"groups\.csv: needs the columns path and group"),
        ("", r"groups\.csv: needs the columns"),
        ("path,group\nx.png,a\nx.png,b\n", r"groups\.csv: gives x\.png two groups"),
        ("path,group\nx.png,a\nplate/x.png,b\n", r"groups\.csv: gives x\.png two groups"),
        ("path,group,group\nx.png,a,b\n", r"groups\.csv: needs the columns .*, each once"),
        ("path,group\nx.png,part 1,a\n", r"groups\.csv: row 2 has 3 cells and the first one 2"),
        ("path,group\nx.png\n", r"groups\.csv: row 2 has 1 cells"),
        ('path,group\nx.png,"a\ny.png,b\nz.png,c"\n', r"groups\.csv: row 2: a quote is opened"),
        ("path,group\n/data/x.png,a\n", r"groups\.csv: /data/x\.png: name images from"),
        ("path,group\nx.png,a\0\n", r"groups\.csv: is no UTF-8 text"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "groups.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        group_names([], {"csv": str(tmp_path / "groups.csv")}, "plate")


def test_an_expression_that_does_not_compile_is_refused():
    with pytest.raises(InputError, match=r"'t\(' is no regular expression .*position 1"):
        group_names([], "t(", "plate")


def test_notes_tell_of_images_without_group_and_of_groups_on_both_sides():
    assert group_notes([row("train/good/1.png", "a"), row("test/good/2.png", "b")]) == []
    both = [row("train/good/1.png", "a"), row("test/good/2.png", "a"), row("test/good/3.png")]
    without, known = group_notes(both)
    assert without == "groups: 1 of 3 images have none; each counts as its own"
    assert known.startswith("groups: 1 of 1 have images in both train and test")
    one = [row(f"train/good/{number}.png", "p") for number in range(3)]
    assert group_notes(one)[0].startswith("groups: all training images are of one, so that none")


def test_groups_survive_storage(tmp_path: Path):
    rows = [row("train/good/1.png", "tile 1"), row("train/good/2.png")]
    write_index(tmp_path / "index.tsv", rows)
    assert read_index(tmp_path / "index.tsv") == rows


def joined(*rows: tuple[str, str, str]) -> list[str]:
    """Groups of images, given their paths, contents and own groups."""
    named = [replace(row(path, group), sha256=content) for path, content, group in rows]
    return [each.group for each in join_copies(named)]


def test_images_of_equal_content_are_one_group():
    a, b, c = (f"train/good/{name}.png" for name in "abc")
    assert joined((a, "1", ""), (b, "2", ""), (c, "3", "")) == ["", "", ""]
    of_a = f"copies of {a}"
    assert joined((a, "1", ""), (b, "2", ""), (c, "1", "")) == [of_a, "", of_a]


def test_groups_that_share_an_image_are_one():
    a, b, c, d, e = (f"train/good/{name}.png" for name in "abcde")
    own = [(a, "1", "t1"), (b, "2", "t2"), (c, "1", "t3"), (d, "2", ""), (e, "4", "t3")]
    assert joined(*own) == ["t1", "t2", "t1", "t2", "t1"]


def test_copies_in_training_and_test_join_nothing():
    assert joined(("train/good/a.png", "1", ""), ("test/good/a.png", "1", "")) == ["", ""]
