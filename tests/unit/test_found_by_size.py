"""How large a defect has to be to be found: classes of size, and nine times in ten."""

import numpy as np
import pytest

from defectbench.evaluation.found_by_size import (
    Defects,
    found_by_size,
    measured_defects,
    often_found,
)
from defectbench.images.index import IndexRow
from defectbench.records import Scores
from defectbench.reports.size_text import often_found as in_words
from defectbench.reports.size_text import pixels

ALONE = np.full(100, "")


def defects(sizes: np.ndarray, found: np.ndarray) -> Defects:
    return Defects(sizes, sizes / 4, found, np.full(len(sizes), ""))


def test_classes_hold_as_many_images_each_from_small_to_large():
    sizes = np.arange(40, 0, -1) * 10.0
    classes = found_by_size(defects(sizes, sizes > 200))["classes"]
    assert [each["pixels"] for each in classes] == [[10, 100], [110, 200], [210, 300], [310, 400]]
    assert [each["seen"] for each in classes] == [[2.5, 25], [27.5, 50], [52.5, 75], [77.5, 100]]
    assert [each["images"] for each in classes] == [10] * 4
    assert [each["found"] for each in classes] == [0, 0, 10, 10]
    assert classes[3]["found_rate_interval"][1] == 1


@pytest.mark.parametrize("count", [0, 1, 9])
def test_of_few_defects_nothing_is_said(count: int):
    assert found_by_size(defects(np.arange(count) + 1.0, np.ones(count, bool))) is None


def test_a_clear_step_is_found_between_what_is_missed_and_what_is_found():
    sizes = np.geomspace(10, 10_000, 100)
    value, low, high = often_found(sizes, sizes >= 300, ALONE)
    assert 290 < value < 330
    assert low < 300 < high
    assert low > 150
    assert high < 8000


def test_where_all_are_found_the_smallest_is_and_no_lower_end_is_known():
    sizes = np.geomspace(10, 10_000, 100)
    value, low, high = often_found(sizes, np.ones(100, bool), ALONE)
    assert value == sizes[0]
    assert low is None
    assert high == sizes[39]  # 40 in a row


def test_where_none_is_found_no_size_is_and_no_upper_end_is_known():
    sizes = np.geomspace(10, 10_000, 100)
    value, low, high = often_found(sizes, np.zeros(100, bool), ALONE)
    assert (value, high) == (None, None)
    assert low == sizes[97]  # the bet takes three


def test_a_single_large_defect_that_is_found_shows_no_size():
    sizes = np.geomspace(10, 10_000, 100)
    assert often_found(sizes, sizes >= sizes[95], ALONE)[0] is None


def test_photographs_of_one_part_tell_as_much_as_one_of_them():
    sizes, names = np.geomspace(10, 10_000, 100), np.arange(100).astype(str)
    found = sizes >= 300
    once = often_found(sizes, found, names)
    four = often_found(sizes.repeat(4), found.repeat(4), names.repeat(4))
    assert four == once


def test_only_images_with_a_mask_are_measured_and_in_pixels_of_the_network_too():
    scores = np.array([1.0, 5, 3, 9])
    none = np.full(4, "")
    test = Scores(list("abcd"), np.array([0, 1, 1, 1]), none, np.array(list("wxyz")), scores)
    rows = [
        IndexRow(name, "test", label, "dent", "", 100, 50, defect_pixels=area)
        for name, label, area in (("a", 0, 0), ("b", 1, 40), ("c", 1, 0), ("d", 1, 200))
    ]
    how = {"interpolation": "lanczos", "size": 50}
    found = measured_defects(test, rows, how, threshold=6)
    np.testing.assert_array_equal(found.pixels, [40, 200])
    np.testing.assert_array_equal(found.seen, [20, 100])
    np.testing.assert_array_equal(found.found, [False, True])
    assert found.groups.tolist() == ["x", "z"]
    assert len(measured_defects(test, rows, {}, 6).pixels) == 0
    assert not measured_defects(test, rows, how, None).found.any()


@pytest.mark.parametrize(
    ("often", "expected"),
    [
        (
            (1234, 800, 2000),
            "from about 1,200 px of the image on, 310 px of what the network",
        ),
        ((1234, 800, 2000), "(with 95 % confidence between 800 and 2,000 px)"),
        ((1234, 800, None), "not below 800 px; so few defects leave the upper end open"),
        ((1234, None, 2000), "from 2,000 px on at the latest; the lower end is open"),
        ((1234, None, None), "how exact that is, so few defects do not tell"),
        (
            (None, 800, None),
            "show no size from which nine in ten are found: it lies above 800 px (95 % confidence)",
        ),
        ((None, None, None), "These defects show no size from which nine in ten are found."),
    ],
)
def test_the_size_in_words(often: tuple, expected: str):
    value, low, high = often
    seen = None if value is None else value / 4
    told = in_words({"often": {"pixels": value, "pixels_interval": (low, high), "seen": seen}})
    assert expected in told


def test_areas_have_two_digits():
    assert [pixels(area) for area in (0.5, 3.14, 10, 99.6, 123.4, 98765)] == [
        "0.5",
        "3.1",
        "10",
        "100",
        "120",
        "99,000",
    ]
