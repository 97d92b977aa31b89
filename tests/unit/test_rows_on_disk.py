"""Rows in a temporary file are those of an array, whole, by slices and by groups."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from defectbench.scorers import rows_on_disk
from defectbench.scorers.rows_on_disk import RowsOnDisk, new_rows, row_groups
from defectbench.storage import read_arrays, write_arrays

ROWS = np.random.default_rng(42).normal(size=(50, 7)).astype(np.float32)


@pytest.fixture
def on_disk() -> RowsOnDisk:
    """Written in pieces, the last one first."""
    rows = RowsOnDisk(ROWS.shape, np.float32)
    for start in (40, 0, 20):
        rows[start : start + 20] = ROWS[start : start + 20]
    return rows


def test_slices_are_those_of_an_array(on_disk: RowsOnDisk):
    assert (len(on_disk), on_disk.shape, on_disk.ndim, on_disk.dtype) == (50, (50, 7), 2, "f4")
    for some in (np.s_[:], np.s_[3:4], np.s_[18:43], np.s_[45:99], np.s_[-5:], np.s_[9:9]):
        np.testing.assert_array_equal(on_disk[some], ROWS[some], strict=True)


def test_rows_that_nobody_wrote_are_zeros():
    np.testing.assert_array_equal(RowsOnDisk((4, 2), np.float64)[1:4], np.zeros((3, 2)))


def test_other_dtypes_and_orders_of_memory_are_written_as_the_files_own(on_disk: RowsOnDisk):
    on_disk[2:9] = np.asfortranarray(ROWS[20:27].astype(np.float64))
    np.testing.assert_array_equal(on_disk[2:9], ROWS[20:27], strict=True)


def test_a_read_that_stops_short_is_gone_on_with(
    on_disk: RowsOnDisk, monkeypatch: pytest.MonkeyPatch
):
    read = rows_on_disk.os.preadv
    monkeypatch.setattr(
        rows_on_disk.os, "preadv", lambda file, rooms, at: read(file, [rooms[0][:100]], at)
    )
    np.testing.assert_array_equal(on_disk[:], ROWS)


def test_groups_hold_a_block_at_most_and_every_row_once(
    on_disk: RowsOnDisk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows_on_disk, "BLOCK_BYTES", 3 * 7 * 4 + 5)
    groups = list(row_groups(on_disk))
    assert [len(rows) for _, rows in groups] == [3] * 16 + [2]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in groups]), ROWS)
    assert all((rows == ROWS[group]).all() for group, rows in groups)


def test_a_row_that_is_larger_than_a_block_is_a_group(
    on_disk: RowsOnDisk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows_on_disk, "BLOCK_BYTES", 1)
    assert [len(rows) for _, rows in row_groups(on_disk)] == [1] * 50


def test_rows_in_memory_are_one_group():
    ((group, rows),) = row_groups(ROWS)
    assert (group, rows is ROWS or rows.base is ROWS) == (slice(0, 50), True)


def test_large_matrices_go_to_disk_and_others_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows_on_disk, "LARGEST", 1000)
    assert isinstance(new_rows((125, 2), np.float32), np.ndarray)
    assert isinstance(new_rows((125, 2), np.float64), RowsOnDisk)


def test_the_file_lies_where_tmpdir_says_and_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = RowsOnDisk((4, 7), np.float32)
    rows[0:4] = ROWS[:4]
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(rows[1:3], ROWS[1:3])


def test_they_are_stored_like_an_array(on_disk: RowsOnDisk, tmp_path: Path):
    write_arrays(tmp_path / "model.h5", {"components": on_disk}, {})
    np.testing.assert_array_equal(read_arrays(tmp_path / "model.h5")[0]["components"], ROWS)
