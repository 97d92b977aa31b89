"""Images become exactly the pixels that the published systems saw."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.decoding import decode_images, load_rgb, preprocess, resize_bilinear

# first channel of what OpenCV 5.0's cv2.resize(…, INTER_LINEAR) makes of `opencv_input()`
OPENCV_4 = [[84, 104, 106, 89], [87, 113, 31, 100], [131, 126, 210, 192], [152, 113, 143, 46]]
OPENCV_12_FIRST_ROWS = [
    [0, 69, 113, 106, 36, 61, 68, 56, 140, 160, 129, 72],
    [50, 84, 122, 145, 104, 100, 100, 106, 148, 126, 89, 56],
    [128, 107, 136, 205, 211, 159, 150, 184, 160, 72, 26, 32],
    [168, 93, 112, 210, 158, 129, 110, 102, 117, 67, 63, 108],
]


def opencv_input() -> np.ndarray:
    index = np.arange(7 * 9 * 3)
    return ((index * index * 37 + index * 11) % 256).astype(np.uint8).reshape(7, 9, 3)


def test_bilinear_shrinks_like_opencv_bit_for_bit():
    np.testing.assert_array_equal(resize_bilinear(opencv_input(), 4)[..., 0], OPENCV_4)


def test_bilinear_enlarges_like_opencv_bit_for_bit():
    enlarged = resize_bilinear(opencv_input(), 12)[..., 0]
    np.testing.assert_array_equal(enlarged[:4], OPENCV_12_FIRST_ROWS)


def test_bilinear_to_the_same_size_changes_nothing():
    pixels = np.random.default_rng(42).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(resize_bilinear(pixels, 32), pixels)


def test_lanczos_is_pillows():
    image = Image.fromarray(opencv_input())
    expected = np.asarray(image.resize((5, 5), Image.Resampling.LANCZOS))
    actual = preprocess(image, {"interpolation": "lanczos", "size": 5})
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("size", "crop", "start"), [(8, 4, 2), (9, 4, 2), (8, 8, 0)])
def test_crop_takes_the_centre(size: int, crop: int, start: int):
    image = Image.fromarray(opencv_input())
    whole = preprocess(image, {"interpolation": "bilinear", "size": size})
    cropped = preprocess(image, {"interpolation": "bilinear", "size": size, "crop": crop})
    np.testing.assert_array_equal(
        cropped, whole[start : start + crop, start : start + crop], strict=True
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str):
    file = tmp_path / "image.tif"
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(file)
    pixels = np.asarray(load_rgb(file))
    assert pixels.shape == (3, 4, 3)
    assert (pixels == 255).all()


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path):
    file = tmp_path / "image.png"
    Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16)).save(file)
    np.testing.assert_array_equal(np.asarray(load_rgb(file))[0, :, 0], [0, 0, 1, 255])


def test_images_come_in_the_order_of_the_files_whatever_the_threads(tmp_path: Path):
    files = [tmp_path / f"{number}.png" for number in range(70)]
    for number, file in enumerate(files):
        Image.new("L", (4, 4), number).save(file)
    for threads in (1, 4):
        images = decode_images(files, {"tiny": {"interpolation": "lanczos", "size": 2}}, threads)
        assert [int(squares["tiny"][0, 0, 0]) for squares in images] == list(range(70))


def test_a_damaged_image_is_named(tmp_path: Path):
    file = tmp_path / "broken.png"
    file.write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"broken\.png"):
        load_rgb(file)
