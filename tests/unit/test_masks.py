"""Masks mark what they are meant to mark, or it is said that they do not; no mark vanishes."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from tiffs import GREY_WHITE_ZERO, tiff

from defectbench.errors import InputError
from defectbench.evaluation.pixel_metrics import figures_at
from defectbench.evaluation.pixel_ranks import collect_pixels
from defectbench.images.indexing import index_category
from defectbench.images.mask_pixels import (
    GREYS,
    LABELS,
    TWO_VALUES,
    load_mask,
    marked_pixels,
    read_mask,
)
from defectbench.images.notes import category_notes

MARKED = np.zeros((40, 48), bool)
MARKED[9:20, 5:30] = True
BYTES = MARKED.astype(np.uint8)
MASK = "ground_truth/dent/000_mask.png"


def store(file: Path, content: np.ndarray | Image.Image | bytes, **options: object) -> Path:
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        image = Image.fromarray(content) if isinstance(content, np.ndarray) else content
        image.save(file, **options)
    return file


def palette_mask(*colours: tuple[int, int, int]) -> Image.Image:
    """A mask of numbers of colours."""
    image = Image.fromarray(BYTES, "P") if len(colours) > 1 else Image.new("P", (48, 40))
    image.putpalette(sum(colours, ()))
    return image


def over_white(transparent: int) -> Image.Image:
    """White strokes on a transparent layer, whose hidden colour is that."""
    colours = np.full((40, 48, 4), transparent, np.uint8)
    colours[MARKED] = 255
    colours[..., 3] = 255 * BYTES
    return Image.fromarray(colours)


SOUND = {
    "1 bit": Image.fromarray(MARKED),
    "255": BYTES * 255,
    "labels of two values": BYTES,
    "colours": np.dstack([BYTES * 0, BYTES * 200, BYTES * 0]),
    "16 bits": BYTES * np.uint16(65535),
    "labels of 16 bits": BYTES * np.uint16(1),
    "16 bits, zero is white": tiff((1 - BYTES) * np.uint16(65535), photometric=GREY_WHITE_ZERO),
    "palette of black and white": palette_mask((0, 0, 0), (255, 255, 255)),
    "palette of black and red": palette_mask((0, 0, 0), (128, 0, 0)),
    "palette from white to black": palette_mask((0, 0, 0), (1, 1, 1)),
    "strokes on a black transparent layer": over_white(0),
    "strokes on a white transparent layer": over_white(255),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_mask_of_two_values_marks_what_is_not_black(tmp_path: Path, kind: str):
    file = store(tmp_path / "mask.tif" if "zero" in kind else tmp_path / "mask.png", SOUND[kind])
    mask = load_mask(file, 48, 40)
    np.testing.assert_array_equal(mask.marked, MARKED)
    assert mask.rule == TWO_VALUES


def test_an_all_white_palette_marks_everything(tmp_path: Path):
    file = store(tmp_path / "mask.png", palette_mask((255, 255, 255)))
    assert load_mask(file, 48, 40).marked.all()


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_mask_stored_with_loss_marks_its_brighter_half(tmp_path: Path, mode: str, quality: int):
    image = Image.fromarray(BYTES * 255).convert(mode)
    mask = load_mask(store(tmp_path / "mask.jpg", image, quality=quality), 48, 40)
    assert mask.rule == GREYS
    assert (mask.marked != MARKED).sum() < 12  # of 275 at the border of 68


@pytest.mark.parametrize(
    ("values", "marked", "rule"),
    [
        ([0, 127, 128, 255], [0, 0, 1, 1], GREYS),
        ([0, 0, 1, 255], [0, 0, 0, 1], GREYS),
        ([0, 1, 2, 127], [0, 1, 1, 1], LABELS),
        ([0, 0, 3, 3], [0, 0, 1, 1], TWO_VALUES),
        ([1, 1, 2, 2], [1, 1, 1, 1], TWO_VALUES),
        ([0, 0, 0, 0], [0, 0, 0, 0], TWO_VALUES),
        ([9, 9, 9, 9], [1, 1, 1, 1], TWO_VALUES),
    ],
)
def test_more_than_two_values_are_greys_or_labels(values: list[int], marked: list[int], rule: str):
    found = marked_pixels(np.array([values], np.uint8))
    assert found.rule == rule
    np.testing.assert_array_equal(found.marked, [np.array(marked, bool)])
    if rule == GREYS:  # of 16 bits, at the middle of theirs
        deep = marked_pixels(np.array([values], np.uint16) * 257)
        np.testing.assert_array_equal(deep.marked, found.marked)


def test_a_mask_is_turned_as_its_file_says(tmp_path: Path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = store(tmp_path / "mask.png", BYTES * 255, exif=exif)
    np.testing.assert_array_equal(load_mask(file, 40, 48).marked, np.rot90(MARKED, -1))


def test_a_mask_can_be_resized_as_published(tmp_path: Path):
    values = np.zeros((90, 90), np.uint8)
    values[30:61, 12:50] = 255
    mask = Image.fromarray(values)
    mask.save(tmp_path / "mask.png")
    published = np.asarray(mask.resize((32, 32), Image.Resampling.LANCZOS)) / 255 > 0.5
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 90, 90, side=32), published)


def test_a_mask_of_another_size_or_unreadable_is_named(tmp_path: Path):
    Image.new("L", (6, 4)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask.png: 6×4, its image is 5×4"):
        read_mask(tmp_path / "mask.png", 5, 4)
    (tmp_path / "mask.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"mask.png: cannot be read as a mask"):
        read_mask(tmp_path / "mask.png", 6, 4)


@pytest.mark.parametrize("side", [1, 2, 20])
def test_a_small_mark_keeps_the_pixel_that_it_covers_most(tmp_path: Path, side: int):
    marks = np.zeros((1024, 512), np.uint8)
    marks[500 : 500 + side, 300:302] = 255
    small = read_mask(store(tmp_path / "mask.png", marks), 512, 1024, side=16)
    assert np.argwhere(small).tolist() == [[500 * 16 // 1024, 300 * 16 // 512]]


def test_a_defective_image_with_a_small_mark_is_no_good_image(tmp_path: Path):
    marks = np.zeros((256, 256), np.uint8)
    marks[100:102, 100:102] = 255
    mask = read_mask(store(tmp_path / "mask.png", marks), 256, 256, side=16)
    maps = np.zeros((2, 16, 16), np.float32)
    maps[1, 12:, 12:] = 1
    found = figures_at(collect_pixels(zip(maps, (None, mask), strict=True)), 0.5)
    assert (found["good_images_marked"], found["regions_found"]) == (0, 0)


def inverted(file: Path) -> None:
    store(file, (1 - BYTES) * 255)


def labels_from_one(file: Path) -> None:
    store(file, BYTES + 1)


def with_loss(file: Path) -> None:
    store(file.with_suffix(".jpg"), BYTES * 255)
    file.unlink()


def three_labels(file: Path) -> None:
    labels = BYTES.copy()
    labels[0, 0] = 2
    store(file, labels)


def transparent(file: Path) -> None:
    store(file, Image.new("RGBA", (48, 40), (255, 255, 255, 0)))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.fixture
def marked(category: Path) -> Path:
    """The category with masks that mark a part of each image."""
    for file in category.glob("ground_truth/*/*.png"):
        store(file, BYTES * 255)
    return category


STORE_TWO_VALUES = "store 0 where the part is good and 255 where it is defective"


@pytest.mark.parametrize(
    ("fault", "note", "remedy"),
    [
        (inverted, "1 masks mark more than half of their image", STORE_TWO_VALUES),
        (labels_from_one, "1 masks mark more than half of their image", STORE_TWO_VALUES),
        (with_loss, "1 masks hold more than two values, of which the upper half", "of 0 and 255"),
        (three_labels, "1 masks hold more than two values, all in the lower", STORE_TWO_VALUES),
        (transparent, f"1 masks are unusable and left out, the first is {MASK}: the mask", "them"),
        (cut_short, f"1 masks are unusable and left out, the first is {MASK}: cannot be", "them"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_odd_in_a_mask_is_noted_with_what_to_do(
    marked: Path, fault: Callable[[Path], None], note: str, remedy: str
):
    assert index_category(marked)[1] == []
    fault(marked / MASK)
    _, (said,) = index_category(marked)
    assert said.startswith(note)
    assert said.endswith(remedy)


def folder_of_parts(masks: Path) -> None:
    for file in masks.glob("*/*.png"):
        (file.parent / file.stem.removesuffix("_mask")).mkdir()
        file.rename(file.parent / file.stem.removesuffix("_mask") / "000.png")


def as_gif(masks: Path) -> None:
    for file in masks.glob("*/*.png"):
        Image.open(file).save(file.with_suffix(".gif"))
        file.unlink()


def other_names(masks: Path) -> None:
    for file in masks.glob("*/*.png"):
        file.rename(file.with_name("gt_" + file.name))


def beside_the_folders(masks: Path) -> None:
    for number, file in enumerate(sorted(masks.glob("*/*.png"))):
        file.rename(masks / f"{number:03}_mask.png")


@pytest.mark.parametrize("fault", [folder_of_parts, as_gif, other_names, beside_the_folders])
def test_masks_that_belong_to_no_image_are_refused_as_images_that_are_not_found(
    marked: Path, fault: Callable[[Path], None]
):
    fault(marked / "ground_truth")
    with pytest.raises(InputError) as raised:
        index_category(marked)
    (told,) = str(raised.value).splitlines()[1:]
    assert told.startswith(f"  {marked}/ground_truth/")
    assert "and so are all 7 entries of ground_truth; ground_truth/DEFECT/NAME_mask.png" in told


def test_without_masks_or_with_empty_folders_nothing_is_refused(marked: Path):
    for file in marked.glob("ground_truth/*/*"):
        file.unlink()
    assert index_category(marked)[1] == []
    shutil.rmtree(marked / "ground_truth")
    assert index_category(marked)[1] == []


def test_two_masks_of_one_image_are_refused(marked: Path):
    shutil.copy(marked / MASK, marked / "ground_truth/dent/000.tif")
    with pytest.raises(InputError) as raised:
        index_category(marked)
    told = "000.tif: 000_mask.png is a mask of the same image; keep one"
    assert str(raised.value).endswith(f"ground_truth/dent/{told}")


def test_files_beside_masks_that_are_none_are_noted(marked: Path):
    stream = io.BytesIO()
    Image.fromarray(BYTES).save(stream, "GIF")
    (marked / "ground_truth/dent/001.gif").write_bytes(stream.getvalue())
    rows, _ = index_category(marked)
    (note,) = category_notes(marked, rows, None, {})
    assert "are ignored, the first is ground_truth/dent/001.gif" in note
