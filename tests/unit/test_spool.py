"""Arrays on disk come back as they were, in any order, whole or in part."""

from pathlib import Path

import numpy as np
import pytest

from defectbench.evaluation.spool import Spool

RNG = np.random.default_rng(1)
ARRAYS = [
    RNG.normal(size=7).astype(np.float32),
    RNG.normal(size=(4, 5)),
    np.empty(0, np.float32),
    RNG.normal(size=(6, 6)).astype(np.float32).T[::2],
    np.empty((0, 3), np.float32),
    RNG.normal(size=300_000).astype(np.float32),
]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path)
    for array in ARRAYS:
        spool.append(array)
    return spool


def test_each_array_comes_back(spool: Spool):
    assert len(spool) == len(ARRAYS)
    for found, array in zip(spool, ARRAYS, strict=True):
        np.testing.assert_array_equal(found, array, strict=True)
    assert spool.sizes.tolist() == [array.size for array in ARRAYS]
    assert spool.dtype == np.float64


def test_reading_and_adding_may_take_turns(spool: Spool):
    first = spool[0]
    spool.append(first + 1)
    np.testing.assert_array_equal(spool[0], ARRAYS[0])
    np.testing.assert_array_equal(spool[len(ARRAYS)], ARRAYS[0] + 1)


def test_part_of_a_vector_is_read_alone(spool: Spool):
    np.testing.assert_array_equal(spool.part(5, 1000, 1010), ARRAYS[5][1000:1010], strict=True)
    np.testing.assert_array_equal(spool.part(0, 3, 3), ARRAYS[0][3:3], strict=True)


def test_some_of_them_are_a_sequence_of_their_own(spool: Spool):
    some = spool.take([5, 0])
    assert len(some) == 2
    assert some.dtype == np.float32
    np.testing.assert_array_equal(some[0], ARRAYS[5])
    np.testing.assert_array_equal(some.part(1, 1, 4), ARRAYS[0][1:4])


def test_the_file_has_no_name(spool: Spool, tmp_path: Path):
    assert len(spool) > 0
    assert list(tmp_path.iterdir()) == []
