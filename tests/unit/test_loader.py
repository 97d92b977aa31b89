"""Every image is read right or refused, by the index and by all who decode it alike."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pngs import DEPTHS, png_chunk, png_file, random_png
from tiffs import GREY_WHITE_ZERO, tiff

from defectbench.errors import InputError
from defectbench.images import png
from defectbench.images.decoding import load_image, look_at, reading

RNG = np.random.default_rng(42)
GREY = RNG.integers(0, 256, (40, 56), np.uint8)
COLOURS = RNG.integers(0, 256, (40, 56, 3), np.uint8)
DEEP = RNG.integers(0, 1 << 16, (40, 56, 3), np.uint16)


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(file: Path, content: bytes, bits: int | None = None) -> np.ndarray:
    """What the loader makes of a file, which the index takes too."""
    file.write_bytes(content)
    image = load_image(file, bits)
    assert look_at(content, bits).size == image.size
    return np.asarray(image)


def refusal(file: Path, content: bytes, bits: int | None = None) -> str:
    """Why the loader refuses a file, which the index does for the same reason."""
    file.write_bytes(content)
    with pytest.raises(InputError) as loaded:
        load_image(file, bits)
    with pytest.raises(InputError) as looked_at, reading(file):
        look_at(content, bits)
    assert str(loaded.value) == str(looked_at.value)
    assert str(loaded.value).startswith(f"{file}: cannot be read as an image (")
    return str(loaded.value)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", [False, True])
def test_colours_of_16_bits_are_read_in_every_arrangement(tmp_path: Path, planar: bool, order: str):
    content = tiff(DEEP, planar=planar, order=order)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", content), DEEP >> 8)
    few = tiff(DEEP >> 4, planar=planar, order=order)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", few, bits=12), DEEP >> 8)


def test_without_imagecodecs_colours_in_planes_of_16_bits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    assert "need the package imagecodecs" in refusal(tmp_path / "a.tif", tiff(DEEP, planar=True))


@pytest.mark.parametrize(("bits", "shift"), [(None, 8), (12, 4)])
def test_where_zero_is_white_16_bits_are_inverted(tmp_path: Path, bits: int | None, shift: int):
    samples = DEEP[..., 0] >> (8 - shift)
    content = tiff(samples, photometric=GREY_WHITE_ZERO)
    expected = 255 - (samples >> shift)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", content, bits), expected)


def test_where_zero_is_white_8_bits_are_inverted(tmp_path: Path):
    content = tiff(GREY, photometric=GREY_WHITE_ZERO)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", content), 255 - GREY)


@pytest.mark.parametrize("kind", ["f4", "i4", "u4", "i2", "i1"])
def test_values_of_unknown_range_are_refused(tmp_path: Path, kind: str):
    told = refusal(tmp_path / "a.tif", tiff(GREY.astype(kind)))
    assert "have no known range; store 8 or 16 bits" in told


def test_of_several_pages_the_first_is_read(tmp_path: Path):
    content = tiff(GREY, 255 - GREY, GREY[:9])
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", content), GREY)
    assert look_at(content).pages == 3
    with_preview = encoded(GREY, "MPO", save_all=True, append_images=[Image.fromarray(GREY[:9])])
    assert pixels_of(tmp_path / "a.jpg", with_preview).shape == GREY.shape
    assert look_at(with_preview).pages == 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(tmp_path: Path, kind: str):
    content = encoded(GREY, kind, save_all=True, append_images=[Image.fromarray(255 - GREY)])
    told = refusal(tmp_path / f"a.{kind.lower()}", content)
    assert "it is an animation; store one picture of it" in told


@pytest.mark.parametrize("kind", ["GIF", "PPM", "ICO"])
def test_another_kind_of_file_is_refused_whatever_its_name(tmp_path: Path, kind: str):
    assert "not a PNG, JPEG, BMP" in refusal(tmp_path / "a.png", encoded(GREY, kind))


def test_a_png_under_another_name_is_read(tmp_path: Path):
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.jpg", encoded(COLOURS, "PNG")), COLOURS)


@pytest.fixture(params=["imagecodecs", "Pillow"])
def either_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With imagecodecs, and without it, as where an exported detector is run."""
    if request.param == "Pillow":
        monkeypatch.setattr(png, "imagecodecs", None)


@pytest.mark.usefixtures("either_library")
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kind", DEPTHS)
def test_a_flipped_bit_of_a_png_is_refused(tmp_path: Path, kind: str, interlaced: bool):
    content = random_png(kind, 8, interlaced=interlaced)
    for position in range(8, len(content), 11):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        refusal(tmp_path / "a.png", bytes(damaged))


@pytest.mark.usefixtures("either_library")
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_with_missing_rows_and_right_checksums_is_refused(
    tmp_path: Path, depth: int, interlaced: bool
):
    whole = random_png("rgb", depth, interlaced=interlaced)
    rows = unpacked(whole)
    header = whole[16:29]
    told = refusal(tmp_path / "a.png", png_file(header, zlib.compress(rows[: len(rows) * 3 // 5])))
    assert "40% of its pixels are missing" in told
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "a.png", png_file(header, zlib.compress(rows + rows))),
        pixels_of(tmp_path / "b.png", whole),
    )


def unpacked(content: bytes) -> bytes:
    """Filtered rows of a PNG with one chunk of pixels."""
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start], "big")
    return zlib.decompress(content[start + 4 : start + 4 + length])


PLAIN = random_png("rgb", 8)
HEADER, PACKED = PLAIN[16:29], zlib.compress(unpacked(PLAIN))
DAMAGED_PNGS = {
    "cut short": (PLAIN[: len(PLAIN) // 2], "checksum of its part IDAT|cut short"),
    "no end": (PLAIN[:-12], "it is cut short"),
    "no checksum of pixels": (png_file(HEADER, PACKED[:-4]), "checksum of its pixels is missing"),
    "wrong checksum of pixels": (png_file(HEADER, PACKED[:-1] + b"?"), "cannot be unpacked"),
    "no pixels": (png_file(HEADER, b""), "100% of its pixels are missing"),
    "unknown filter": (
        png_file(HEADER, zlib.compress(b"\5" + unpacked(PLAIN)[1:])),
        "filtered in a way that PNG does not have",
    ),
    "wrong checksum behind the pixels": (
        random_png("rgb", 8, after=png_chunk(b"tEXt", b"a\0b")[:-1] + b"?"),
        "the checksum of its part tEXt is wrong",
    ),
    "text within the pixels": (
        PLAIN[:33]
        + png_chunk(b"IDAT", PACKED[:99])
        + png_chunk(b"tEXt", b"a\0b")
        + png_chunk(b"IDAT", PACKED[99:])
        + png_chunk(b"IEND", b""),
        "its parts are not those of one PNG image",
    ),
    "no palette": (
        png_file(struct.pack(">II5B", 21, 13, 8, 3, 0, 0, 0), zlib.compress(bytes(22 * 13))),
        "its palette is missing",
    ),
}


@pytest.mark.usefixtures("either_library")
@pytest.mark.parametrize("fault", DAMAGED_PNGS)
def test_a_damaged_png_is_refused_with_what_is_wrong(tmp_path: Path, fault: str):
    content, told = DAMAGED_PNGS[fault]
    assert any(reason in refusal(tmp_path / "a.png", content) for reason in told.split("|"))


def photograph() -> np.ndarray:
    stripes = 120 + 60 * np.sin(np.arange(160) / 9)
    return (stripes + RNG.normal(0, 9, (120, 160))).clip(0, 255).astype(np.uint8)


JPEGS = {
    "plain": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 7},
    "progressive restarts": {"restart_marker_rows": 1, "progressive": True},
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_sound_jpeg_is_read_also_with_something_behind_it(
    tmp_path: Path, kind: str, subsampling: int
):
    colours = np.dstack([photograph()] * 3)[:101, :131]
    content = encoded(colours, "JPEG", quality=90, subsampling=subsampling, **JPEGS[kind])
    expected = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.jpg", content), expected)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.jpg", content + b"more"), expected)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_is_refused(tmp_path: Path, kind: str):
    content = encoded(photograph(), "JPEG", quality=90, **JPEGS[kind])
    for damaged in (content[:-2], content[:-700], content[:-700] + bytes(700)):
        assert "the file is damaged, copy it again" in refusal(tmp_path / "a.jpg", damaged)


def test_a_jpeg_with_too_few_restart_markers_is_refused(tmp_path: Path):
    content = encoded(photograph(), "JPEG", quality=90, **JPEGS["restarts"])
    start = len(content) // 2
    for damaged in (
        content[:start] + bytes(300) + content[start + 300 :],
        content[:start] + content[start + 500 :],
        content[:start] + content[-2:],
    ):
        told = refusal(tmp_path / "a.jpg", damaged)
        assert "restart markers some are missing" in told


def test_a_link_that_leads_nowhere_and_an_empty_file_are_named(tmp_path: Path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png: cannot be read .*No such file"):
        load_image(tmp_path / "a.png")
    assert "not a PNG" in refusal(tmp_path / "b.png", b"")


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits"])
def test_compressed_tiffs_of_16_bits_are_read_in_planes_too(tmp_path: Path, compression: str):
    planes = np.moveaxis(DEEP, 2, 0).copy()
    content = imagecodecs.tiff_encode(
        planes, photometric="rgb", planarconfig="separate", compression=compression
    )
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", content), DEEP >> 8)
