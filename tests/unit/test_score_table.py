"""Rows of scored images: kept whole through kills, told apart by detector and threshold."""

from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.score_table import (
    COLUMNS,
    DAY,
    Row,
    ScoreTable,
    check_made_alike,
    only_writer,
    read_rows,
    table_files,
)


def row(path: str, time: str = "2026-01-01T10:00:00+01:00", **others: str) -> Row:
    return dict.fromkeys(COLUMNS, "1") | {"path": path, "time": time} | others


def test_a_row_that_a_killed_run_left_unfinished_is_none(tmp_path: Path):
    ScoreTable(tmp_path).append(row("a, b.png"))
    with open(tmp_path / "scores.csv", "a") as stream:
        stream.write("b.png,1")
    assert [each["path"] for each in read_rows(tmp_path)] == ["a, b.png"]
    table = ScoreTable(tmp_path)
    table.cut_unfinished_row()
    table.append(row("c.png"))
    assert [each["path"] for each in read_rows(tmp_path)] == ["a, b.png", "c.png"]


def test_a_run_that_is_killed_in_its_first_line_leaves_no_table(tmp_path: Path):
    (tmp_path / "scores.csv").write_text("path,sco")
    table = ScoreTable(tmp_path)
    table.cut_unfinished_row()
    table.append(row("a.png"))
    assert list(read_rows(tmp_path)) == [row("a.png")]


def test_tables_of_days_follow_their_dates_also_after_a_restart(tmp_path: Path):
    table = ScoreTable(tmp_path, DAY)
    days = ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-04"]
    for number, day in enumerate(days):
        time = f"{day}T10:00:00+01:00"
        if table.is_full(time):
            (tmp_path / "summary.json").write_text(day)
            table.rotate()
        table.append(row(f"{number}.png", time))
        table = ScoreTable(tmp_path, DAY)
    names = [file.name for file in table_files(tmp_path)]
    assert names == ["scores_2026-01-01.csv", "scores_2026-01-02.csv", "scores.csv"]
    assert [each["path"] for each in read_rows(tmp_path)] == [f"{k}.png" for k in range(4)]
    assert (tmp_path / "summary_2026-01-02.json").read_text() == "2026-01-04"


def test_tables_of_one_day_are_numbered_and_read_in_their_order(tmp_path: Path):
    table = ScoreTable(tmp_path, 1)
    for number in range(12):
        if table.is_full("2026-01-01"):
            table.rotate()
        table.append(row(f"{number}.png"))
    assert [each["path"] for each in read_rows(tmp_path)] == [f"{k}.png" for k in range(12)]
    assert (tmp_path / "scores_2026-01-01_11.csv").is_file()
    (tmp_path / "scores.csv").unlink()  # somebody took it away
    assert not table.is_full("2026-01-01")
    table.clear()
    assert table_files(tmp_path) == []


def test_a_table_with_other_columns_is_named(tmp_path: Path):
    (tmp_path / "scores.csv").write_text("path,score\na.png,1\n")
    with pytest.raises(InputError, match=r"scores\.csv: its columns are not path, score"):
        list(read_rows(tmp_path))


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\r{','.join('1' * 9)}\r",  # of an old Macintosh
        f"{HEADER}\n{','.join('1' * 9)}\r{','.join('1' * 9)}",
        "notes without an end",
        f"{HEADER},",
        HEADER.encode("utf-16").decode("latin-1"),
    ],
)
def test_what_no_killed_run_can_have_left_is_refused_and_stays(tmp_path: Path, content: str):
    file = tmp_path / "scores.csv"
    file.write_text(content, encoding="latin-1", newline="")
    before = file.read_bytes()
    refused = r"scores\.csv: holds what is no table of this program; name another output"
    with pytest.raises(InputError, match=refused):
        list(read_rows(tmp_path))
    with pytest.raises(InputError, match=refused):
        ScoreTable(tmp_path).cut_unfinished_row()
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("x" * 200_000, "cannot be read (field larger than field limit (131072)); name another"),
        ("a\0b.png", r"has a row of 'a\\x00b.png', no image's path; name another output"),
        ("../../a.png", "has a row of '../../a.png', no image's path"),
        ("/etc/a.png", "has a row of '/etc/a.png', no image's path"),
    ],
)
def test_a_row_that_is_none_of_ours_is_refused_in_one_line(
    tmp_path: Path, path: str, complaint: str
):
    ScoreTable(tmp_path).append(row(path))
    with pytest.raises(InputError) as refusal:
        list(read_rows(tmp_path))
    assert str(refusal.value).startswith(f"{tmp_path / 'scores.csv'}: {complaint}")


@pytest.mark.parametrize("threshold", ["0.1", "0.100000000000000", "1e-1", "0.10000000000000001"])
def test_thresholds_are_compared_by_value(threshold: str):
    check_made_alike(row("a", threshold=threshold), Path("scores.csv"), "1", 0.1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"threshold": "0.11"}, "scored at the threshold 0.11"),
        ({"threshold": ""}, "scored at the threshold "),
        ({"threshold": "0.1", "detector": "2"}, "scored by another detector"),
    ],
)
def test_rows_of_another_threshold_or_detector_are_refused(change: dict, complaint: str):
    with pytest.raises(InputError, match=complaint):
        check_made_alike(row("a", **change), Path("scores.csv"), "1", 0.1)


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path):
    folder = tmp_path / "out"
    refused = pytest.raises(InputError, match="another run writes there")
    with only_writer(folder), refused, only_writer(folder):
        pass
    assert not folder.exists()
    with only_writer(folder):
        (folder / "scores.csv").touch()
    assert folder.is_dir()
