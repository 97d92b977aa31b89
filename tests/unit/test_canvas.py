"""What the network sees of an image: rectangles, proportions that are kept, parts of a canvas."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from defectbench.config.preprocessings import check_preprocessing
from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import over_whole_image
from defectbench.images.canvas import canvas, covers, part, place, with_canvas
from defectbench.images.resizing import preprocess
from defectbench.scorers.grids import bilinear

LANCZOS: dict[str, Any] = {"interpolation": "lanczos", "size": 256}
KEEP = LANCZOS | {"aspect": "keep"}
ORIGINAL = LANCZOS | {"size": "original"}


def test_a_rectangle_has_the_height_and_width_that_are_asked_for():
    image = Image.effect_noise((100, 50), 40).convert("RGB")
    how = LANCZOS | {"size": [64, 160]}
    assert canvas(how) == (64, 160)
    expected = np.asarray(image.resize((160, 64), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(preprocess(image, how), expected)
    # to fixed point's truncation, the plain bilinear resize
    found = preprocess(image, how | {"interpolation": "bilinear"})
    plain = bilinear(np.asarray(image, float).transpose(2, 0, 1), (64, 160)).transpose(1, 2, 0)
    assert np.abs(found - plain).max() < 2


@pytest.mark.parametrize(
    ("size", "image", "expected"),
    [
        (384, (576, 768), (288, 384)),
        (640, (500, 1260), (256, 640)),
        (1000, (1334, 2000), (672, 1000)),
        (512, (1024, 1024), (512, 512)),
        (2048, (256, 4096), (128, 2048)),
        (256, (10, 3000), (32, 256)),  # no less than the network's stride
    ],
)
def test_keep_makes_size_the_longer_side_and_rounds_the_other_to_the_stride(
    size: int, image: tuple[int, int], expected: tuple[int, int]
):
    for height, width in (image, image[::-1]):
        how = with_canvas(KEEP | {"size": size}, [(height, width)])
        turned = expected if (height, width) == image else expected[::-1]
        assert canvas(how) == turned
        assert covers(how, height, width)


def test_original_rounds_to_the_stride_and_leaves_what_fits_as_it_is():
    how = with_canvas(ORIGINAL, [(70, 128)])
    assert canvas(how) == (64, 128)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    exact = with_canvas(ORIGINAL, [(64, 96)])
    np.testing.assert_array_equal(preprocess(Image.fromarray(pixels), exact), pixels)


def test_a_multiple_of_a_transformers_patch():
    how = with_canvas(KEEP | {"size": 518, "multiple": 14}, [(300, 400)])
    assert canvas(how) == (392, 518)


def test_a_category_has_the_canvas_of_its_most_frequent_images():
    sizes = [(300, 400)] * 3 + [(400, 300)] * 2 + [(600, 800)]
    how = with_canvas(KEEP, sizes)
    assert canvas(how) == (192, 256)
    assert covers(how, 600, 800)  # of the same proportions
    assert not covers(how, 400, 300)


@pytest.mark.parametrize("image", [(400, 300), (200, 200), (100, 400), (301, 900)])
def test_an_image_of_another_shape_is_scaled_to_fit_with_its_own_proportions(
    image: tuple[int, int],
):
    how = with_canvas(KEEP, [(300, 400)])
    rows, columns = part(how, *image)
    assert rows <= 192
    assert columns <= 256
    assert rows in (192, 160) or columns in (256, 224)
    assert rows % 32 == columns % 32 == 0
    lies = place(how, (rows, columns))
    assert lies.top % 32 == lies.left % 32 == 0
    assert lies.top + rows <= 192
    assert lies.left + columns <= 256
    assert preprocess(Image.new("RGB", image[::-1]), how).shape == (rows, columns, 3)


def test_what_is_not_resized_is_made_smaller_at_most():
    how = with_canvas(ORIGINAL, [(320, 320)] * 2 + [(64, 96)])
    assert part(how, 64, 96) == (64, 96)
    assert part(how, 640, 320) == (320, 160)


def test_of_a_map_an_image_gets_its_part_of_the_canvas():
    how = with_canvas(KEEP, [(300, 400)])
    top, left, height, width = place(how, part(how, 300, 150))
    anomaly_map = np.zeros((192, 256), np.float32)
    anomaly_map[top : top + height, left : left + width] = 7
    own = over_whole_image(anomaly_map, (300, 150), how, None)
    assert own.shape == (height, width)
    assert (own == 7).all()
    assert over_whole_image(anomaly_map, (300, 400), how, None) is anomaly_map


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"size": 16}, "size: 16 is less than 32"),
        ({"size": [256, 16]}, "size: 16 is less than 32"),
        ({"aspect": "pad", "size": [64, 128]}, "aspect: pad makes a square"),
        ({"aspect": "crop", "size": "original"}, "aspect: crop makes a square"),
        ({"aspect": "keep", "size": [64, 128]}, "size: with aspect: keep"),
        ({"aspect": "keep", "crop": 64}, "crop: needs a square"),
        ({"size": [64, 64], "crop": 32}, "crop: needs a square"),
        ({"crop": 512}, "crop: larger than size"),
        ({"tiles": {"size": 100, "overlap": 64}}, "tiles.size: 100 is no multiple of 32"),
        ({"tiles": {"size": 64, "overlap": 64}}, "tiles.overlap: 64 is not less"),
        ({"tiles": {"size": 512, "overlap": 64}}, "tiles.size: 512 is larger than the canvas"),
        ({"size": 500, "tiles": {"size": 64, "overlap": 0}}, "size: what is cut into tiles"),
    ],
)
def test_what_does_not_go_together_is_refused(changed: dict[str, Any], expected: str):
    with pytest.raises(InputError, match=f"^config: preprocessings.fine.{expected}"):
        check_preprocessing("fine", LANCZOS | changed)


def test_tiles_larger_than_an_image_are_refused_with_a_size_that_does():
    how = ORIGINAL | {"tiles": {"size": 512, "overlap": 64}}
    with pytest.raises(
        InputError, match=r"than 4096×256 pixels, .* 1 of 1 images \(4096×256\): use at most 256$"
    ):
        with_canvas(how, [(256, 4096)])
