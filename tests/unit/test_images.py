"""Images become exactly the pixels that the published systems saw."""

import hashlib
import io
import struct
import threading
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from pngs import DEPTHS, png_chunk, random_png

from defectbench.errors import InputError
from defectbench.images import decoding
from defectbench.images.decoding import in_order, load_image, load_rgb
from defectbench.images.png import decode_plain_png
from defectbench.images.resizing import preprocess, resize_bilinear

# SHA-256, by side, of what cv2.resize(…, INTER_LINEAR) makes of `noise` in all shapes of `SIDES`;
# OpenCV 4.10 and 5.0 agree
OPENCV_DIGESTS = {
    1: "8b05c4fb726d7710",
    7: "a3c71279b6d09cc9",
    64: "55347beff6ef8759",
    224: "0beb3179b9854d7c",
    256: "5f72e92af47f6568",
    300: "98b8092267f3e146",
    456: "509f76b39d5c51b7",
}
SIDES = (1, 2, 3, 5, 8, 31, 100, 113, 224, 300, 333, 456, 640, 900)
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


@pytest.mark.parametrize(("size", "rows"), [(4, OPENCV_4), (12, OPENCV_12_FIRST_ROWS)])
def test_bilinear_is_opencvs_bit_for_bit(size: int, rows: list[list[int]]):
    resized = resize_bilinear(opencv_input(), (size, size))[..., 0]
    np.testing.assert_array_equal(resized[:4], rows)


def noise(*shape: int) -> np.ndarray:
    index = np.arange(np.prod(shape), dtype=np.uint64)
    return ((index * index * 37 + index * 11) >> 3).astype(np.uint8).reshape(shape)


@pytest.mark.parametrize("size", OPENCV_DIGESTS)
def test_bilinear_is_opencvs_between_sizes_of_every_ratio(size: int):
    digest = hashlib.sha256()
    for height, width in zip(SIDES, reversed(SIDES), strict=True):
        digest.update(resize_bilinear(noise(height, width, 3), (size, size)).tobytes())
    assert digest.hexdigest()[:16] == OPENCV_DIGESTS[size]


def test_bilinear_to_the_same_size_changes_nothing():
    pixels = np.random.default_rng(42).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(resize_bilinear(pixels, (32, 32)), pixels)


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
    kept = slice(start, start + crop)
    np.testing.assert_array_equal(cropped, whole[kept, kept], strict=True)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str):
    file = tmp_path / "image.tif"
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(file)
    pixels = np.asarray(load_rgb(file))
    assert pixels.shape == (3, 4, 3)
    assert (pixels == 255).all()


def save_deep(file: Path, samples: np.ndarray, **options: object) -> Path:
    """Store uint16 samples, grey or RGB."""
    if samples.ndim == 2:
        Image.fromarray(samples).save(file, **options)
    else:
        encode = imagecodecs.png_encode if file.suffix == ".png" else imagecodecs.tiff_encode
        file.write_bytes(encode(samples))
    return file


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)], ids=["grey", "rgb"])
def test_the_upper_eight_of_the_bits_asked_for_are_kept(
    tmp_path: Path, suffix: str, shape: tuple[int, ...]
):
    samples = np.random.default_rng(42).integers(0, 4096, shape, np.uint16)
    samples.flat[-1] = 4095
    file = save_deep(tmp_path / f"image.{suffix}", samples)
    for bits in (12, 13, 16, None):
        pixels = np.asarray(load_image(file, bits))
        np.testing.assert_array_equal(pixels, samples >> ((bits or 16) - 8))


def test_values_that_need_more_bits_than_asked_for_are_refused(tmp_path: Path):
    file = save_deep(tmp_path / "image.png", np.full((2, 2), 4096, np.uint16))
    with pytest.raises(InputError, match=r"image\.png: .*values up to 4096 need more than 12 bits"):
        load_image(file, 12)


@pytest.mark.parametrize(("highest", "pixel"), [(4095, 250), (4000, 15), (65535, 15)])
def test_a_highest_value_of_all_ones_states_the_bits(tmp_path: Path, highest: int, pixel: int):
    samples = np.full((2, 2), 4000, np.uint16)
    file = save_deep(tmp_path / "image.tif", samples, tiffinfo={281: highest})
    assert (np.asarray(load_image(file)) == pixel).all()


def test_twelve_bits_packed_in_a_tiff_use_their_whole_range(tmp_path: Path):
    file = tmp_path / "image.tif"
    file.write_bytes(packed_12_bit_tiff(b"\xff\xf8\x00"))  # 4095, 2048
    np.testing.assert_array_equal(np.asarray(load_image(file)), [[255, 128]])


def packed_12_bit_tiff(strip: bytes) -> bytes:
    """One row of two grey values."""
    entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1)]
    entries.append((279, len(strip)))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return header + directory + bytes(4) + strip


XMP_KEY = b"XML:com.adobe.xmp"
CHUNKS = {
    "gamma": png_chunk(b"gAMA", struct.pack(">I", 220_000)),
    "colours": png_chunk(b"sRGB", b"\0") + png_chunk(b"cHRM", struct.pack(">8I", *range(8))),
    "profile": png_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"no profile")),
    "text": png_chunk(b"tEXt", b"Comment\0hello")
    + png_chunk(b"iTXt", XMP_KEY + bytes(5) + b"<x:xmpmeta/>"),
    "compressed text": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"hello")),
    "significant bits": png_chunk(b"sBIT", b"\5\5\5"),
    "transparency": png_chunk(b"tRNS", bytes(6)),
    "unknown": png_chunk(b"abCd", b"?"),
}
TURNED_XMP = b'<rdf:Description tiff:Orientation="6"/>'


def turned(stated: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = stated
    return exif


EXIF = turned(6)
RAW_EXIF = f"Raw profile type exif\0\nexif\n{len(EXIF.tobytes()):8}\n{EXIF.tobytes().hex()}\n"
TURNING_CHUNKS = {
    "EXIF": png_chunk(b"eXIf", EXIF.tobytes().removeprefix(b"Exif\0\0")),
    "EXIF as text": png_chunk(b"tEXt", RAW_EXIF.encode()),
    "XMP": png_chunk(b"iTXt", XMP_KEY + bytes(5) + TURNED_XMP),
    "compressed XMP": png_chunk(b"iTXt", XMP_KEY + b"\0\1\0\0\0" + zlib.compress(TURNED_XMP)),
}
FAST_CHUNKS = {"gamma", "colours", "profile", "text", "significant bits"}


def pillows(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        if image.mode == "I;16":
            return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        return np.asarray(image.convert("RGB"))


def assert_decoded_like_pillow(file: Path, content: bytes, *, fast: bool) -> None:
    file.write_bytes(content)
    np.testing.assert_array_equal(np.asarray(load_rgb(file)), pillows(content), strict=True)
    assert (decode_plain_png(content) is not None) == fast


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(("kind", "depth"), [(k, d) for k in DEPTHS for d in DEPTHS[k]])
def test_every_kind_of_png_becomes_pillows_pixels(
    tmp_path: Path, kind: str, depth: int, interlaced: bool
):
    fast = kind in ("grey", "rgb") and depth == 8 and not interlaced
    content = random_png(kind, depth, interlaced=interlaced)
    assert_decoded_like_pillow(tmp_path / "image.png", content, fast=fast)


@pytest.mark.parametrize("kind", ["grey", "rgb"])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_further_chunks_of_a_png_change_no_pixel(tmp_path: Path, kind: str, chunk: str):
    content = random_png(kind, 8, before=CHUNKS[chunk])
    assert_decoded_like_pillow(tmp_path / "image.png", content, fast=chunk in FAST_CHUNKS)


@pytest.mark.parametrize("interpolation", ["lanczos", "bilinear"])
@pytest.mark.parametrize("side", [5, 20, 33])
def test_grey_is_resized_as_one_channel_to_what_three_would_give(interpolation: str, side: int):
    grey = Image.fromarray(noise(31, 20))
    preprocessing = {"interpolation": interpolation, "size": side}
    expected = preprocess(grey.convert("RGB"), preprocessing)
    np.testing.assert_array_equal(preprocess(grey, preprocessing), expected, strict=True)


@pytest.mark.parametrize(("mode", "loaded"), [("1", "L"), ("L", "L"), ("LA", "L"), ("P", "RGB")])
def test_grey_files_keep_one_channel(tmp_path: Path, mode: str, loaded: str):
    Image.new("L", (4, 3), 255).convert(mode).save(tmp_path / "image.png")
    assert load_image(tmp_path / "image.png").mode == loaded


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order_and_few_wait(threads: int):
    taken = []
    numbers = (taken.append(number) or number for number in range(70))
    found = in_order(lambda number: number * number, numbers, threads, ahead=5)
    assert len(taken) == 5  # with the call, and no more than that
    for number in range(70):
        assert next(found) == number * number
        assert len(taken) <= number + 5
    assert next(found, None) is None


def test_an_error_comes_where_its_result_would_have_and_ends_the_work():
    found = in_order(lambda number: 6 / number, [3, 2, 0, 1], threads=2, ahead=4)
    assert [next(found), next(found)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert next(found, None) is None


def test_what_nobody_will_ask_for_is_not_computed():
    begun, go_on = [], threading.Event()
    before = set(threading.enumerate())
    found = in_order(lambda item: begun.append(item) or go_on.wait(), range(9), threads=1, ahead=9)
    (worker,) = set(threading.enumerate()) - before
    del found
    go_on.set()
    worker.join()
    assert len(begun) <= 1


def test_every_preprocessing_comes_of_one_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    loaded = []
    monkeypatch.setattr(
        decoding, "load_image", lambda file, bits: loaded.append(file) or load_image(file, bits)
    )
    file = tmp_path / "image.png"
    Image.fromarray(opencv_input()).save(file)
    cropped = {"interpolation": "lanczos", "size": 6, "crop": 2}
    both = {"a": {"interpolation": "bilinear", "size": 4}, "b": cropped}
    squares = decoding.load_resized(file, both)
    assert loaded == [file]
    assert (squares["a"].shape, squares["b"].shape) == ((4, 4, 3), (2, 2, 3))
    np.testing.assert_array_equal(squares["a"][..., 0], OPENCV_4)


@pytest.mark.parametrize("stated", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_is_turned_as_its_file_says(tmp_path: Path, mode: str, suffix: str, stated: int):
    file = tmp_path / f"image.{suffix}"
    Image.fromarray(noise(10, 16, 3)).convert(mode).save(file, exif=turned(stated))
    pillows = ImageOps.exif_transpose(Image.open(io.BytesIO(file.read_bytes())))
    assert pillows.size == ((16, 10) if stated < 5 else (10, 16))
    np.testing.assert_array_equal(np.asarray(load_rgb(file)), np.asarray(pillows.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_turned_too(tmp_path: Path, suffix: str):
    samples = np.arange(6, dtype=np.uint16).reshape(2, 3) * 256
    file = save_deep(tmp_path / f"image.{suffix}", samples, exif=turned(6))
    np.testing.assert_array_equal(np.asarray(load_image(file)), [[3, 0], [4, 1], [5, 2]])


@pytest.mark.parametrize("stated", TURNING_CHUNKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_an_orientation_in_any_chunk_of_a_png_is_found(tmp_path: Path, stated: str, place: str):
    file = tmp_path / "image.png"
    file.write_bytes(random_png("rgb", 8, **{place: TURNING_CHUNKS[stated]}))
    assert load_image(file).size == (13, 21)
