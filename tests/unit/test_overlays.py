"""Pictures: which are chosen, what is drawn, and on one colour scale."""

import io

import numpy as np
import pytest
from PIL import Image

from defectbench.evaluation.map_geometry import MapScale
from defectbench.records import Scores
from defectbench.reports.map_panels import (
    COLOURS,
    GAP,
    OUTLINE,
    PANEL,
    colour,
    draw_panels,
    outline,
)
from defectbench.reports.pictures import EACH, Picture, choose_pictures, file_names, verdicts

SQUASHED = {"interpolation": "lanczos", "size": 256}
SCALE = MapScale(typical=1.0, threshold=3.0)
SQUASHED = {"interpolation": "lanczos", "size": 256}
GREY = Image.new("RGB", (PANEL, PANEL), (90, 90, 90))


def scores_of(defects: list[str], scores: list[float], paths: list[str] | None = None) -> Scores:
    """Test images of these defect types, the good ones included."""
    kinds = np.array(defects)
    labels = (kinds != "good").astype(int)
    return Scores(paths or [], labels, kinds, np.full(len(kinds), ""), np.array(scores))


def overlay_of(panels: Image.Image) -> np.ndarray:
    return np.asarray(panels)[:, 2 * (PANEL + GAP) :]


def test_mistakes_come_first_then_the_hardest_and_the_median_of_each_type():
    defects = ["good"] * 4 + ["dent"] * 3 + ["cut"]
    test = scores_of(defects, [1.0, 9.0, 2.0, 3.0, 8.0, 2.0, 7.0, 6.0])
    assert choose_pictures(test, threshold=5.0) == [
        Picture(5, "one of the lowest scores"),
        Picture(1, "one of the highest good scores"),
        Picture(7, "lowest score of its type"),
        Picture(6, "median of its type"),
        Picture(2, "median good part"),
    ]


def test_of_many_mistakes_the_worst_are_shown_and_no_image_twice():
    scores = np.random.default_rng(0).normal(size=100)
    chosen = choose_pictures(scores_of(["good"] * 50 + ["dent"] * 50, scores), threshold=0.0)
    rows = [picture.row for picture in chosen]
    assert len(set(rows)) == len(rows)
    defective = 50 + np.argsort(scores[50:])
    good = np.argsort(scores[:50])[::-1]
    assert rows[: 2 * EACH] == [*defective[:EACH], *good[:EACH]]


def test_every_answer_has_one_word():
    test = scores_of(["dent", "dent", "good", "good"], [5.0, 4.9, 5.0, 4.9])
    # a score at the threshold is called defective
    assert verdicts(test, 5.0) == ["found", "missed", "false alarm", "passed"]
    assert verdicts(test, None) == ["missed", "missed", "passed", "passed"]


def test_names_sort_as_the_pictures_and_tell_the_verdict():
    names = file_names(
        [Picture(1, "one of the highest good scores"), Picture(0, "lowest score of its type")],
        scores_of(["scratch", "good"], [1.0, 9.0], ["test/scratch/a.b.png", "test/good/003.png"]),
        ["missed", "false alarm"],
    )
    assert names == [
        "01_false_alarm_good_test-good-003.webp",
        "02_missed_scratch_test-scratch-a.b.webp",
    ]


def test_the_scale_is_anchored_at_the_threshold_and_never_stretched():
    maps = np.array([[-4.0, 1.0, 2.0], [3.0, 5.0, 500.0]])
    np.testing.assert_allclose(SCALE.levels(maps), [[0, 0, 0.25], [0.5, 1, 1]])


def test_below_the_threshold_the_image_shows_as_it_is():
    panels = draw_panels(GREY, np.full((4, 4), 2.99), None, SCALE, SQUASHED)
    assert (overlay_of(panels) == 90).all()


def test_from_the_threshold_on_the_overlay_glows():
    at, high = (
        overlay_of(draw_panels(GREY, np.full((4, 4), level), None, SCALE, SQUASHED)).astype(int)
        for level in (3.0, 5.0)
    )
    assert at[0, 0, 0] > 90
    assert high[0, 0].sum() > at[0, 0].sum()


def test_the_mask_is_outlined_in_a_colour_of_its_own():
    mask = np.zeros((2 * PANEL, 2 * PANEL), bool)
    mask[100:200, 100:200] = True
    drawn = overlay_of(draw_panels(GREY, np.ones((4, 4)), mask, SCALE, SQUASHED))
    marked = (drawn == OUTLINE).all(axis=-1)
    assert marked[75, 48]
    assert not marked[75, 75]
    assert not marked[40, 40]


def test_a_single_defective_pixel_of_a_large_image_is_outlined():
    mask = np.zeros((3000, 3000), bool)
    mask[1500, 1500] = True
    assert outline(mask, PANEL, PANEL).sum() == 5 * 5 - 1


@pytest.mark.parametrize(("size", "panel"), [((900, 600), (320, 213)), ((50, 100), (160, 320))])
def test_panels_keep_the_proportions_of_the_image(size: tuple[int, int], panel: tuple[int, int]):
    panels = draw_panels(Image.new("RGB", size), np.ones((4, 4)), None, SCALE, SQUASHED)
    assert panels.size == (3 * panel[0] + 2 * GAP, panel[1])


def test_lightness_rises_along_the_scale():
    luminance = colour(np.linspace(0, 1, 50)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    np.testing.assert_array_equal(colour(np.array([0.0, 1.0])), COLOURS[[0, -1]])


def test_a_picture_is_small_and_the_same_bytes_each_time():
    def encoded() -> bytes:
        rng = np.random.default_rng(3)
        maps = rng.gamma(1, 1, (16, 16))
        stream = io.BytesIO()
        draw_panels(GREY, maps, None, SCALE, SQUASHED).save(stream, "WEBP", quality=75, method=4)
        return stream.getvalue()

    assert encoded() == encoded()
    assert len(encoded()) < 30_000
