"""Images that are not square: what the network sees of them, and where its map then lies."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from squares import to_square

from defectbench.config.schema import check_schema
from defectbench.evaluation.map_geometry import MapScale, over_whole_image
from defectbench.images import resizing
from defectbench.images.canvas import ASPECTS, with_canvas
from defectbench.images.decoding import load_resized
from defectbench.images.network_image import decoded_image
from defectbench.images.resizing import preprocess
from defectbench.reports.map_panels import GAP, PANEL, draw_panels

SHAPES = [(20, 48), (48, 20), (21, 48), (20, 47), (33, 10)]
LANCZOS = {"interpolation": "lanczos", "size": 24}
SQUARES = ("squash", "pad", "crop")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [*SHAPES, (20, 20), (1, 300), (300, 1), (700, 24)])
@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
@pytest.mark.parametrize("aspect", ["pad", "crop"])
def test_the_network_sees_the_resized_square(
    aspect: str, interpolation: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resizing, "BAND_BYTES", 5000)  # several bands of the taller images
    how = {"interpolation": interpolation, "size": 24}
    image = noise(*shape, 3)
    expected = preprocess(Image.fromarray(to_square(image, aspect)), how)
    actual = preprocess(Image.fromarray(image), how | {"aspect": aspect})
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
@pytest.mark.parametrize("shape", [(16_000, 32), (32, 16_000)])
def test_a_long_strip_is_padded_without_the_square_of_its_length(
    shape: tuple[int, int], interpolation: str
):
    how = {"interpolation": interpolation, "size": 256, "aspect": "pad"}
    strip = Image.fromarray(np.full((*shape, 3), 90, np.uint8))
    tracemalloc.start()
    try:
        seen = preprocess(strip, how)
        whole = over_whole_image(np.zeros((256, 256), np.float32), shape, how, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.shape == (256, 256, 3)
    assert whole.shape == shape
    assert peak < 150e6  # of the square, 768 MB as pixels and 1 GB as a map


def test_without_an_aspect_an_image_is_squashed():
    image = Image.fromarray(noise(20, 48, 3))
    expected = np.asarray(image.resize((24, 24), Image.Resampling.LANCZOS))
    for said in ({}, {"aspect": "squash"}):
        np.testing.assert_array_equal(preprocess(image, LANCZOS | said), expected)
    assert (preprocess(image, LANCZOS | {"aspect": "pad"}) != expected).any()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_square_image_is_the_same_in_every_aspect(aspect: str):
    image = Image.fromarray(noise(30, 30, 3))
    how = with_canvas(LANCZOS | {"aspect": aspect}, [(30, 30)])
    np.testing.assert_array_equal(preprocess(image, how), preprocess(image, LANCZOS))


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
@pytest.mark.parametrize("aspect", SQUARES)
def test_grey_is_padded_and_cut_as_colour_is(aspect: str, interpolation: str):
    how = {"interpolation": interpolation, "size": 24, "aspect": aspect}
    grey = Image.fromarray(noise(20, 47))
    np.testing.assert_array_equal(preprocess(grey, how), preprocess(grey.convert("RGB"), how))


def test_one_decoding_serves_every_aspect_and_the_detector_sees_the_same(tmp_path: Path):
    file = tmp_path / "wide.png"
    Image.fromarray(np.arange(20 * 48, dtype=np.uint16).reshape(20, 48) * 60).save(file)
    ways = {aspect: with_canvas(LANCZOS | {"aspect": aspect}, [(20, 48)]) for aspect in ASPECTS}
    squares = load_resized(file, ways)
    for aspect, how in ways.items():
        decoded = decoded_image(file, {"preprocessing": how, "bits": None})
        np.testing.assert_array_equal(decoded.pixels, squares[aspect])
    assert len({square.tobytes() for square in squares.values()}) == len(ASPECTS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("aspect", ["pad", "crop"])
def test_a_map_lies_on_the_pixels_it_was_made_of(aspect: str, shape: tuple[int, int]):
    image = noise(*shape).astype(np.float32)
    how = LANCZOS | {"aspect": aspect}
    whole = over_whole_image(to_square(image, aspect), shape, how, unseen=-1)
    seen = whole != -1
    assert seen.all() == (aspect == "pad")
    assert seen.sum() >= min(shape) ** 2
    np.testing.assert_array_equal(whole[seen], image[seen])


def test_the_map_of_a_squashed_image_is_the_image_s_own():
    anomaly_map = noise(8, 8).astype(np.float32)
    assert over_whole_image(anomaly_map, (20, 48), LANCZOS, 0) is anomaly_map


@pytest.mark.parametrize("aspect", ["pad", "crop"])
def test_a_picture_glows_where_the_defect_is(aspect: str):
    photograph = np.full((60, 160, 3), 90, np.uint8)
    seen_by_map = np.zeros((60, 160), np.float32)
    seen_by_map[20:40, 70:90] = 9
    panels = draw_panels(
        Image.fromarray(photograph),
        to_square(seen_by_map, aspect),
        None,
        MapScale(typical=0, threshold=4),
        LANCZOS | {"aspect": aspect},
    )
    overlay = np.asarray(panels)[:, 2 * (PANEL + GAP) :].astype(int)
    glow = np.argwhere(np.abs(overlay - 90).sum(axis=-1) > 30)
    np.testing.assert_allclose(glow.min(axis=0), [40, 140], atol=3)
    np.testing.assert_allclose(glow.max(axis=0), [80, 180], atol=3)


def test_the_default_spelt_out_is_the_default():
    padded = LANCZOS | {"aspect": "pad"}
    config = {"datasets": {}, "methods": {}}
    config["preprocessings"] = {"a": LANCZOS | {"aspect": "squash"}, "b": padded}
    check_schema(config)
    assert config["preprocessings"] == {"a": LANCZOS, "b": padded}
