"""Pictures: what is drawn, in which order, and on one colour scale."""

import io

import numpy as np
import pytest
from PIL import Image

from defectbench.reports.pictures import (
    COLOURS,
    GAP,
    OUTLINE,
    PANEL,
    ColourScale,
    Picture,
    colour,
    draw_panels,
    every_picture,
    outline,
    picture_names,
    select_pictures,
    verdict,
)

SCALE = ColourScale(typical=1.0, threshold=3.0)
GREY = Image.new("RGB", (PANEL, PANEL), (90, 90, 90))

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
DEFECTS = np.array(["good"] * 4 + ["dent"] * 3 + ["cut"])
SCORES = np.array([1.0, 9.0, 2.0, 3.0, 8.0, 2.0, 7.0, 6.0])


def overlay_of(panels: Image.Image) -> np.ndarray:
    return np.asarray(panels)[:, 2 * (PANEL + GAP) :]


def test_false_alarms_come_first_then_worst_and_median_of_good_and_of_each_defect():
    assert select_pictures(LABELS, DEFECTS, SCORES, threshold=5.0) == [
        Picture("false_alarm", 1),
        Picture("worst", 3),
        Picture("median", 2),
        Picture("worst", 7),
        Picture("worst", 5),
        Picture("median", 6),
    ]


def test_every_image_is_drawn_under_its_verdict_when_all_are_asked_for():
    pictures = every_picture(LABELS, SCORES, threshold=5.0)
    assert [row for _, row in pictures] == list(range(8))
    assert [kind for kind, _ in pictures[:2] + pictures[4:6]] == [
        "passed",
        "false_alarm",
        "found",
        "escape",
    ]


def test_a_score_at_the_threshold_is_called_defective():
    assert verdict(1, 5.0, 5.0) == "found"
    assert verdict(0, 5.0, 5.0) == "false alarm"


def test_names_sort_as_the_pictures_and_say_why_they_were_drawn():
    names = picture_names(
        [Picture("false_alarm", 0), Picture("worst", 1)],
        ["test/good/003.png", "test/scratch/a.b.png"],
        np.array(["good", "scratch"]),
    )
    assert names == [
        "01_false_alarm_good_test-good-003.webp",
        "02_worst_scratch_test-scratch-a.b.webp",
    ]


def test_the_scale_is_anchored_at_the_threshold_and_never_stretched():
    maps = np.array([[-4.0, 1.0, 2.0], [3.0, 5.0, 500.0]])
    np.testing.assert_allclose(SCALE.levels(maps), [[0, 0, 0.25], [0.5, 1, 1]])


def test_below_the_threshold_the_image_shows_as_it_is():
    panels = draw_panels(GREY, np.full((4, 4), 2.99), None, SCALE)
    assert (overlay_of(panels) == 90).all()


def test_from_the_threshold_on_the_overlay_glows():
    at, high = (
        overlay_of(draw_panels(GREY, np.full((4, 4), level), None, SCALE)).astype(int)
        for level in (3.0, 5.0)
    )
    assert at[0, 0, 0] > 90
    assert high[0, 0].sum() > at[0, 0].sum()


def test_the_mask_is_outlined_in_a_colour_of_its_own():
    mask = np.zeros((2 * PANEL, 2 * PANEL), bool)
    mask[100:200, 100:200] = True
    drawn = overlay_of(draw_panels(GREY, np.ones((4, 4)), mask, SCALE))
    marked = (drawn == OUTLINE).all(axis=-1)
    assert marked[75, 48]
    assert not marked[75, 75]
    assert not marked[40, 40]


def test_a_single_defective_pixel_of_a_large_image_is_outlined():
    mask = np.zeros((3000, 3000), bool)
    mask[1500, 1500] = True
    assert outline(mask, PANEL, PANEL).sum() >= 8


@pytest.mark.parametrize(("size", "panel"), [((900, 600), (320, 213)), ((50, 100), (160, 320))])
def test_panels_keep_the_proportions_of_the_image(size: tuple[int, int], panel: tuple[int, int]):
    panels = draw_panels(Image.new("RGB", size), np.ones((4, 4)), None, SCALE)
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
        draw_panels(GREY, maps, None, SCALE).save(stream, "WEBP", quality=75, method=4)
        return stream.getvalue()

    assert encoded() == encoded()
    assert len(encoded()) < 30_000
