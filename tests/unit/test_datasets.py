"""The index lists every image of a category, or says what is wrong with it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image

from defectbench.errors import InputError
from defectbench.images.index import IndexRow, dataset_digest, read_index, write_index
from defectbench.images.indexing import index_category
from defectbench.images.notes import category_notes


def index_rows(category: Path) -> list[IndexRow]:
    rows, _ = index_category(category)
    return rows


def test_index_is_sorted_and_complete(category: Path):
    rows = index_rows(category)
    assert [row.path for row in rows] == sorted(row.path for row in rows)
    assert sum(row.split == "train" for row in rows) == 16
    assert sum(row.split == "test" and row.label == 0 for row in rows) == 5
    assert sum(row.label == 1 for row in rows) == 7


def test_a_row_describes_its_file(category: Path):
    row = next(row for row in index_rows(category) if row.path == "test/dent/001.png")
    assert (row.split, row.label, row.defect) == ("test", 1, "dent")
    assert (row.width, row.height, row.mode) == (48, 40, "RGB")
    assert row.mask == "ground_truth/dent/001_mask.png"


def test_index_survives_storage(category: Path, tmp_path: Path):
    rows = index_rows(category)
    write_index(tmp_path / "index.tsv", rows)
    assert read_index(tmp_path / "index.tsv") == rows


def test_hidden_and_foreign_files_are_not_images(category: Path):
    (category / "train" / "good" / ".hidden.png").write_bytes(b"")
    (category / "train" / "good" / "notes.txt").write_text("hello")
    (category / "train" / "README.md").write_text("hello")
    assert len(index_rows(category)) == 28


def test_all_damaged_images_are_listed_at_once(category: Path):
    whole = (category / "train" / "good" / "000.png").read_bytes()
    (category / "train" / "good" / "000.png").write_bytes(whole[: len(whole) // 2])
    (category / "test" / "good" / "001.png").write_bytes(b"")
    with pytest.raises(InputError) as error:
        index_rows(category)
    assert "train/good/000.png" in str(error.value)
    assert "test/good/001.png" in str(error.value)


SQUASHED = (
    "48×40 images are squashed to 64×64 by plain, plain too; set `aspect: keep` in "
    "`preprocessings` to keep proportions"
)
PLAIN = {"interpolation": "lanczos", "size": 64}
USED = {"plain": PLAIN, "plain too": PLAIN, "keep": PLAIN | {"size": 256, "aspect": "keep"}}
GOOD = "train/good/000.png"
DENT = "test/dent/000.png"
DENT_MASK = "ground_truth/dent/000_mask.png"


def truncate(folder: Path) -> None:
    content = (folder / GOOD).read_bytes()
    (folder / GOOD).write_bytes(content[: len(content) // 2])


def truncate_jpeg(folder: Path) -> None:
    file = folder / "train/good/photo.jpg"
    rng = np.random.default_rng(42)
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:-700])


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / GOOD).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GOOD).write_bytes(content)


def bomb(folder: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(folder / GOOD)


def floats(folder: Path) -> None:
    Image.fromarray(np.ones((40, 48), np.float32)).save(folder / "train/good/float.tif")


def broken_link(folder: Path) -> None:
    (folder / GOOD).unlink()
    (folder / GOOD).symlink_to("nowhere.png")


def twin_in_case(folder: Path) -> None:
    shutil.copy(folder / DENT, folder / "test/dent/000.PNG")


def name_in_latin_1(folder: Path) -> None:
    (folder / GOOD).rename(os.fsdecode(os.fsencode(folder / "train/good") + b"/gr\xfcn.png"))


def capital_good(folder: Path) -> None:
    (folder / "test/good").rename(folder / "test/Good")


def good_with_a_blank(folder: Path) -> None:
    (folder / "test/good").rename(folder / "test/good ")


def trained_defect(folder: Path) -> None:
    (folder / "test/dent").rename(folder / "train/dent")


def no_folder(folder: Path) -> None:
    (folder / DENT).rename(folder / "test/000.png")


def mask_among_images(folder: Path) -> None:
    shutil.copy(folder / DENT_MASK, folder / "test/dent/001_mask.png")


def too_deep(folder: Path) -> None:
    (folder / "test/dent").rename(folder / "test/scratch/dent")


def no_mask(folder: Path) -> None:
    (folder / DENT_MASK).unlink()


def no_image(folder: Path) -> None:
    (folder / DENT).unlink()


def empty_mask(folder: Path) -> None:
    Image.new("L", (48, 40)).save(folder / DENT_MASK)


def mask_of_another_size(folder: Path) -> None:
    Image.new("L", (40, 48), 255).save(folder / DENT_MASK)


def damaged_mask(folder: Path) -> None:
    (folder / DENT_MASK).write_bytes(b"\x89PNG")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (truncate, r"train/good/000\.png: cannot be read as an image"),
        (truncate_jpeg, r"train/good/photo\.jpg: cannot be read as an image"),
        (flip_a_bit, r"train/good/000\.png: cannot be read as an image"),
        (bomb, r"train/good/000\.png: cannot be read.*decompression bomb"),
        (floats, r"train/good/float\.tif: cannot be read .*\(32 bits, signed values and floats"),
        (broken_link, r"train/good/000\.png: cannot be read"),
        (twin_in_case, r"test/dent/000\.png: differs from 000\.PNG in case alone"),
        (name_in_latin_1, r"gr\\xfcn\.png: the name is not UTF-8"),
        (capital_good, r"test/Good': only `good`, in lower case"),
        (good_with_a_blank, r"test/good ': only `good`, in lower case"),
        (trained_defect, r"train/dent: detectors are trained on train/good alone"),
        (no_folder, r"test/000\.png: belongs in a folder"),
        (mask_among_images, r"test/dent/001_mask\.png: is called a mask of 001\.png; move"),
        (too_deep, r"test/scratch/dent: images in subfolders are not found"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_cannot_be_used_is_refused_with_its_file(
    category: Path, fault: Callable[[Path], None], message: str
):
    fault(category)
    with pytest.raises(InputError, match=message):
        index_category(category)


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (no_mask, "1 defective images have no mask and count in no pixel figure, the first is"),
        (no_image, "1 masks belong to no image, the first is ground_truth/dent/000_mask.png"),
        (empty_mask, f"1 masks are unusable and left out, the first is {DENT_MASK}: the mask"),
        (mask_of_another_size, f"1 masks are unusable and left out, the first is {DENT_MASK}: 40×"),
        (damaged_mask, f"1 masks are unusable and left out, the first is {DENT_MASK}: cannot"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_of_a_mask_is_a_note_and_the_mask_is_left_out(
    category: Path, fault: Callable[[Path], None], note: str
):
    fault(category)
    rows, (said,) = index_category(category)
    assert said.startswith(note)
    masks = {row.path: row.mask for row in rows}
    assert masks.get(DENT, "") == ""
    assert masks["test/dent/001.png"] == "ground_truth/dent/001_mask.png"


def test_a_few_unreadable_images_are_left_out_of_training_and_test_and_listed(category: Path):
    truncate(category)
    (category / DENT).write_bytes(b"no image")
    rows, notes = index_category(category, skip_unreadable=True)
    assert len(rows) == 26
    assert {GOOD, DENT}.isdisjoint(row.path for row in rows)
    assert [note[: note.index(" (", 30)] for note in notes] == [
        f"left out (`unreadable: skip`): {category / path}: cannot be read as an image"
        for path in (GOOD, DENT)
    ]


def test_more_unreadable_images_than_a_tenth_are_refused(category: Path):
    for number in range(3):  # of 28
        (category / f"train/good/{number:03}.png").write_bytes(b"no image")
    with pytest.raises(InputError) as raised:
        index_category(category, skip_unreadable=True)
    first, *lines = str(raised.value).splitlines()
    assert first == f"{category}: `unreadable: skip` leaves out a tenth at most; mend or remove"
    assert [line[: line.index(": cannot")] for line in lines] == [
        f"  {category}/train/good/{number:03}.png" for number in range(3)
    ]


def test_what_is_not_about_reading_is_never_skipped(category: Path):
    truncate(category)
    capital_good(category)
    with pytest.raises(InputError, match="only `good`, in lower case"):
        index_category(category, skip_unreadable=True)


def test_the_only_training_image_cannot_be_skipped(category: Path):
    for file in sorted((category / "train" / "good").iterdir())[1:]:
        file.unlink()
    truncate(category)
    with pytest.raises(InputError, match="train/good: no images"):
        index_category(category, skip_unreadable=True)


def test_of_several_pages_the_first_is_used_and_noted(category: Path):
    pages = [Image.open(category / GOOD), Image.open(category / DENT)]
    pages[0].save(category / "train/good/pages.tif", save_all=True, append_images=pages[1:])
    assert index_category(category)[1] == [
        "1 files hold several pages, of which the first is used, the first is "
        "train/good/pages.tif; store each page as a file of its own"
    ]


def test_masks_are_optional_per_defect(category: Path):
    shutil.rmtree(category / "ground_truth" / "dent")
    masks = {row.defect: row.mask for row in index_rows(category)}
    assert masks["dent"] == ""
    assert masks["scratch"] == "ground_truth/scratch/003_mask.png"


def test_links_and_unusual_names_are_used(category: Path):
    good = category / "train" / "good"
    (good / "000.png").rename(good / "größe 1\tα.png")
    (good / "001.png").rename(category / "elsewhere.png")
    (good / "001.png").symlink_to(category / "elsewhere.png")
    rows = index_rows(category)
    assert "train/good/größe 1\tα.png" in {row.path for row in rows}
    assert len(rows) == 28
    write_index(category / "index.tsv", rows)
    assert read_index(category / "index.tsv") == rows


def test_a_test_set_without_good_images_is_indexed(category: Path):
    shutil.rmtree(category / "test" / "good")
    assert {row.label for row in index_rows(category) if row.split == "test"} == {1}


def test_notes_tell_what_is_odd_but_usable(category: Path, tmp_path: Path):
    rows, of_files = index_category(category)
    assert of_files == []
    assert category_notes(category, rows, None, USED) == [SQUASHED]
    Image.new("RGB", (50, 50)).save(category / "test" / "good" / "000.png")
    shutil.copy(category / GOOD, category / "test" / "good" / "001.png")
    (category / "train" / "good" / "notes.txt").write_text("hello")
    counts = tmp_path / "counts.csv"
    counts.write_text("category,train_good,test_good,test_defective\nplate,17,5,7\n")
    notes = category_notes(category, index_rows(category), counts, USED)
    assert notes == [
        "train good: 16 images, officially 17: get the missing ones",
        "1 images are not 48×40, the first is test/good/000.png; remove those of something else",
        "1 images have other proportions than most, and keep scales them to fit, the first is "
        "test/good/000.png; crop those that should not be seen so",
        SQUASHED,
        "1 test images are copies of training images, the first is "
        "test/good/001.png of train/good/000.png; remove them",
        "1 files are no PNG, JPEG, BMP, TIFF or WebP and are ignored, the first is "
        "train/good/notes.txt; convert those that are images",
    ]


def test_a_strip_that_rounding_bends_is_told_of_the_size_and_not_of_the_aspect(category: Path):
    for file in category.glob("t*/*/*.png"):
        Image.new("RGB", (216, 96), (len(file.name), 0, 0)).save(file)
    kept = {"keep": PLAIN | {"size": 160, "aspect": "keep"}}
    (said,) = (
        note for note in category_notes(category, index_rows(category), None, kept) if "squ" in note
    )
    assert said.startswith("216×96 images are squashed to 160×64 by keep; its sides are rounded")


def test_one_picture_that_is_good_and_defective_is_told(category: Path):
    shutil.copy(category / GOOD, category / "test/dent/zz.png")
    notes = category_notes(category, index_rows(category), None, USED)
    (said,) = (note for note in notes if "no detector can be right" in note)
    assert f"the first is {GOOD} and test/dent/zz.png; keep the right one" in said


def test_a_kind_of_defect_without_any_mask_is_noted_where_others_have_some(category: Path):
    images = len(list((category / "test/scratch").iterdir()))
    shutil.rmtree(category / "ground_truth/scratch")
    _, (said,) = index_category(category)
    assert said.startswith(f"{images} defective images have no mask and count in no pixel figure")


def test_an_alpha_channel_that_hides_nothing_is_no_transparency(category: Path):
    Image.open(category / GOOD).convert("RGBA").save(category / GOOD)
    assert index_category(category)[1] == []


def test_square_images_are_not_said_to_be_squashed(category: Path, tmp_path: Path):
    for file in category.glob("t*/*/*.png"):
        Image.new("RGB", (50, 50), (len(file.name), 0, 0)).save(file)
    notes = category_notes(category, index_rows(category), None, USED)
    assert not any("squashed" in note for note in notes)


def test_mixed_modes_and_transparency_are_noted(category: Path):
    for file, mode in ((GOOD, "RGBA"), (DENT, "L"), ("train/good/001.png", "P")):
        image = Image.open(category / file).convert(mode)
        if mode != "L":
            image.putpixel((0, 0), (0, 0, 0, 254) if mode == "RGBA" else 0)
        image.save(category / file, **({"transparency": 0} if mode == "P" else {}))
    rows, of_files = index_category(category)
    assert of_files == [
        "2 images have transparent parts, which are shown, the first is train/good/000.png; store "
        "what is to be seen, without transparency"
    ]
    assert category_notes(category, rows, None, USED) == [
        SQUASHED,
        "images of several kinds in one category: 25 RGB, 1 L, 1 RGBA, 1 P; store all in the same "
        "way",
    ]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_turned_image_has_the_size_it_is_seen_in_and_its_mask_too(category: Path, suffix: str):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(category / DENT).save((category / DENT).with_suffix(f".{suffix}"), exif=exif)
    if suffix != "png":
        (category / DENT).unlink()
    marks = np.zeros((48, 40), np.uint8)
    marks[:9] = 255
    Image.fromarray(marks).save(category / DENT_MASK)
    rows, notes = index_category(category)
    assert notes == [
        f"1 images are turned as their files say, the first is test/dent/000.{suffix}; masks must "
        "be, too"
    ]
    row = next(row for row in rows if row.path == f"test/dent/000.{suffix}")
    assert (row.width, row.height, row.mask) == (40, 48, DENT_MASK)


@pytest.mark.parametrize(
    ("highest", "note"),
    [
        (65535, []),
        (4095, ["values up to 4095 in 16-bit files: looks like 12 bits; set `bits: 12`"]),
        (900, ["values up to 900 in 16-bit files: looks like 10 bits; set `bits: 10`"]),
        (255, ["values up to 255 in 16-bit files, which come out black: store them in 8 bits"]),
    ],
)
@pytest.mark.parametrize("shape", [(40, 48), (40, 48, 3)], ids=["grey", "rgb"])
def test_fewer_bits_in_16_bit_files_are_noted(
    category: Path, shape: tuple[int, ...], highest: int, note: list[str]
):
    for file, value in ((GOOD, 200), (DENT, highest)):
        (category / file).write_bytes(imagecodecs.png_encode(np.full(shape, value, np.uint16)))
    assert index_category(category)[1] == note


def test_bits_that_the_config_states_are_checked_not_noted(category: Path):
    Image.fromarray(np.full((40, 48), 4095, np.uint16)).save(category / GOOD)
    assert index_category(category, bits=12)[1] == []
    with pytest.raises(InputError, match=r"000\.png: .*values up to 4095 need more than 10 bits"):
        index_category(category, bits=10)


def test_webp_is_an_image(category: Path):
    Image.open(category / GOOD).save(category / "train/good/photo.webp")
    assert "train/good/photo.webp" in {row.path for row in index_rows(category)}


def test_a_missing_training_folder_is_named(category: Path):
    for file in (category / "train" / "good").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="train/good: no images"):
        index_rows(category)


def test_dataset_digest_depends_on_pixels_and_nothing_else(category: Path):
    before = dataset_digest(index_rows(category))
    assert dataset_digest(index_rows(category)) == before
    Image.new("RGB", (48, 40)).save(category / "test" / "good" / "000.png")
    assert dataset_digest(index_rows(category)) != before
