"""Folders as people have them end in the MVTec layout, split by the seed, groups whole."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from defectbench.errors import InputError
from defectbench.images.index import read_own
from defectbench.images.indexing import index_category
from defectbench.images.layout import users_folder
from defectbench.sources.own_folders import OwnFolders


@pytest.fixture
def parts(category: Path, tmp_path: Path) -> Path:
    """Sixteen good images in two folders with equal names, seven defective ones and their masks."""
    parts = tmp_path / "own" / "parts"
    for camera in ("a", "b"):
        (parts / "ok" / camera).mkdir(parents=True)
    for number, file in enumerate(sorted((category / "train" / "good").iterdir())):
        file.rename(parts / "ok" / "ab"[number % 2] / f"tile{number // 2:02}.png")
    for name in ("dent", "scratch"):
        _moved(category / "test" / name, parts / "nok" / name)
        _moved(category / "ground_truth" / name, parts / "masks" / name)
    return parts


def _moved(folder: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(to)


ENTRY = {"good": "ok", "defective": "nok", "masks": "masks/{defect}/{stem}_mask.png"}


def source(path: Path, seed: int = 42, **changes: object) -> OwnFolders:
    """The source that an entry of the config describes, `ENTRY` with changes."""
    entry = {key: value for key, value in (ENTRY | changes).items() if value is not None}
    datasets = {"parts": entry | {"path": str(path)}}
    return OwnFolders("parts", {"seed": seed, "datasets": datasets})


@pytest.fixture
def laid_out(parts: Path, tmp_path: Path) -> Callable[..., Path]:
    """The folders laid out as such an entry says."""

    def make(seed: int = 42, **changes: object) -> Path:
        output = tmp_path / "data" / f"parts{seed}"
        source(parts, seed, **changes).put("parts", output)
        return output

    return make


def paths(made: Path, split: str) -> list[str]:
    return sorted(file.name for file in (made / split / "good").iterdir())


def test_the_category_is_the_path_itself_or_each_of_its_folders(parts: Path):
    for path in (parts, parts.parent):
        assert source(path).found() == ["parts"]
        assert len(source(path).images("parts")) == 16 + 7
    with pytest.raises(InputError, match=r"images in fine \(`good`\); found parts/"):
        source(parts.parent, good="fine").found()


def test_images_of_equal_names_defect_types_and_masks_are_all_found(laid_out):
    rows, notes = index_category(laid_out())
    assert notes == []
    assert sum(row.label == 0 for row in rows) == 16
    assert {row.defect: row.mask for row in rows if row.label} == {
        "dent": "ground_truth/dent/nok__dent__002_mask.png",
        "scratch": "ground_truth/scratch/nok__scratch__003_mask.png",
    }
    assert all(row.mask for row in rows if row.label)


def test_globs_find_what_folders_find(laid_out):
    whole = index_category(laid_out())
    assert index_category(laid_out(good="ok/**/*.png", defective=["nok/*"])) == whole


def test_the_split_is_a_quarter_by_the_seed_and_keeps_groups_whole(laid_out, parts: Path):
    made = laid_out(groups=r"tile\d+")
    test, train = paths(made, "test"), paths(made, "train")
    assert len(test) == 4
    assert {name[-10:] for name in test}.isdisjoint(name[-10:] for name in train)
    groups = {own.group for link, own in read_own(made).items() if "/good/" in link}
    assert all(group.startswith("tile") for group in groups)
    assert paths(laid_out(groups=r"tile\d+"), "test") == test
    assert paths(laid_out(seed=7), "test") != paths(laid_out(seed=8), "test")
    splits = [split for split, _ in source(parts, groups=r"tile\d+").images("parts")]
    assert splits.count("train") == 12


def test_images_set_aside_for_the_test_are_not_trained_on(laid_out):
    made = laid_out(test_good="ok/b")
    assert {name[:5] for name in paths(made, "test")} == {"ok__b"}
    assert {name[:5] for name in paths(made, "train")} == {"ok__a"}


def test_good_images_alone_are_enough(laid_out):
    rows, _ = index_category(laid_out(defective=None, masks=None))
    assert {(row.split, row.defect) for row in rows} == {("train", "good"), ("test", "good")}


def test_linked_images_and_folders_are_found_once_and_hidden_ones_are_not(laid_out, parts: Path):
    elsewhere = parts.parent.parent / "elsewhere"
    (parts / "ok" / "b").rename(elsewhere)
    (parts / "ok" / "b").symlink_to(elsewhere)
    (elsewhere / "in a circle").symlink_to(parts)
    (parts / "ok" / "a" / "linked.png").symlink_to(parts / "ok" / "a" / "tile00.png")
    (parts / "ok" / "a" / ".thumbnails").mkdir()
    shutil.copy(parts / "ok" / "a" / "tile00.png", parts / "ok" / "a" / ".thumbnails")
    for good in ("ok", "**/ok", ["ok/a", "ok/b/*.png"]):
        made = laid_out(good=good, test_good="ok/a/linked.png")
        assert len(paths(made, "train") + paths(made, "test")) == 17


def test_masks_beside_the_images_are_no_images_be_they_of_good_ones(laid_out, parts: Path):
    for file in [*parts.glob("ok/*/*.png"), *parts.glob("nok/*/*.png")]:
        mark = Image.new("L", (48, 40), 255 * (file.parent.parent.name == "nok"))
        mark.save(file.with_name(f"{file.stem}_label.bmp"))
    rows, _ = index_category(laid_out(masks="{folder}/{stem}_label.bmp"))
    assert sum(row.label == 0 for row in rows) == 16
    assert all(row.mask for row in rows if row.label)
    assert not any("label" in row.path for row in rows)


def test_one_mask_may_be_that_of_many_images_and_that_is_noted(laid_out):
    rows, notes = index_category(laid_out(masks="masks/dent/000_mask.png"))
    assert all(row.mask for row in rows if row.label)
    assert (
        "masks are those of several images each, the first is masks/dent/000_mask.png of nok/d"
        in (" ".join(notes))
    )


def test_images_of_equal_names_keep_apart_with_their_masks(laid_out, parts: Path):
    dent = parts / "nok" / "dent"
    Image.open(dent / "000.png").rotate(180).save(dent / "000.bmp")
    shutil.copy(parts / "masks/dent/000_mask.png", parts / "masks/dent/001_mask.png")
    shutil.copytree(dent, parts / "nok" / "dent__000.png" / "dent")
    rows, notes = index_category(laid_out())
    masks = {row.path: row.mask for row in rows if row.label}
    assert len(masks) == len({row.file for row in rows if row.label})
    assert masks["nok/dent/000.png"] != masks["nok/dent/000.bmp"] != ""
    assert "masks/dent/000_mask.png of nok/dent/000.bmp, nok/dent/000.png" in " ".join(notes)


def test_a_path_stays_what_the_user_wrote(laid_out, parts: Path):
    rows, _ = index_category(laid_out())
    own = {path.relative_to(parts).as_posix() for path in parts.glob("*ok/*/*.png")}
    assert {row.path for row in rows} == own


def test_a_long_way_to_an_image_is_no_long_name(laid_out, parts: Path):
    deep = parts / "ok" / "/".join(["a folder with quite a long name" * 3] * 5)
    deep.mkdir(parents=True)
    shutil.copy(parts / "ok/a/tile00.png", deep / f"{'n' * 240}.png")
    rows, _ = index_category(laid_out())
    (row,) = (row for row in rows if "nnn" in row.path)
    assert row.path == (deep / f"{'n' * 240}.png").relative_to(parts).as_posix()


@pytest.mark.parametrize("good", ["ok [1]", "ok [1]/*", ["ok [1]/a", "ok [1]/b"], "o* [[]1]"])
def test_a_folder_called_like_a_pattern_is_meant_itself(laid_out, parts: Path, good):
    (parts / "ok").rename(parts / "ok [1]")
    shutil.copytree(parts / "nok", parts / "ok 1")
    rows, _ = index_category(laid_out(good=good))
    assert {row.path.split("/")[0] for row in rows if not row.label} == {"ok [1]"}


@pytest.mark.parametrize(
    ("name", "why"), [(b"gr\xfcn.png", "not UTF-8"), (b"a\rb.png", "control characters")]
)
def test_a_name_that_results_cannot_have_is_refused_in_one_line(
    laid_out, parts: Path, name: bytes, why: str
):
    (parts / "ok/a/tile00.png").rename(os.fsdecode(os.fsencode(parts / "ok/a") + b"/" + name))
    with pytest.raises(InputError, match=why) as refused:
        laid_out()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("defective", ["test", "test/**/*.png", "**/[tn]*", ["nok", "test"]])
def test_a_folder_called_good_among_defective_images_is_refused(
    laid_out, parts: Path, defective: str | list[str]
):
    shutil.copytree(parts / "ok", parts / "test" / "Good")
    shutil.copytree(parts / "nok" / "dent", parts / "test" / "dent")
    told = rf"{parts}/test/Good: is called good and lies below `defective`.*, here test/dent"
    with pytest.raises(InputError, match=told):
        laid_out(defective=defective, masks=None)


def test_a_folder_called_good_may_hold_defective_images_if_the_settings_say_so(
    laid_out, parts: Path
):
    for file in (parts / "nok" / "dent").iterdir():
        file.rename(parts / "ok" / f"nok_{file.name}")
    (parts / "ok").rename(parts / "good")
    made = laid_out(good="good/*/*.png", defective="good/nok_*.png", masks=None)
    rows, _ = index_category(made)
    assert {row.defect for row in rows} == {"good", "defective"}


def test_masks_of_a_kind_that_is_not_read_are_refused(laid_out, parts: Path):
    for file in parts.glob("masks/*/*.png"):
        Image.open(file).save(file.with_suffix(".gif"))
    told = r"000_mask\.gif: 7 of the files that `masks` of the dataset names are no PNG.*convert"
    with pytest.raises(InputError, match=told):
        laid_out(masks="masks/{defect}/{stem}_mask.gif")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"defective": "broken"}, r"no images in broken \(`defective` of the dataset\)"),
        ({"good": "."}, "is both good and defective, and so are 6 others"),
        (
            {"masks": "maks/{defect}/{stem}.png"},
            "that of nok/dent/000.png would be .*/maks/dent/000.png; mend or remove `masks`",
        ),
        ({"defective": "ok/a"}, "is both good and defective, and so are 7 others"),
        ({"masks": "{image}.png"}, "in braces it may name stem, name, defect, folder"),
        ({"groups": "ok"}, "all good images are of one group"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused(laid_out, changes: dict[str, str], told: str):
    with pytest.raises(InputError, match=told):
        laid_out(**changes)


def test_messages_name_the_users_folder(laid_out, parts: Path):
    assert users_folder(laid_out()) == parts
    (parts / "ok" / "a" / "tile00.png").write_bytes(b"no image")
    with pytest.raises(InputError) as raised:
        index_category(laid_out())
    told = str(raised.value).splitlines()
    assert told[0] == f"{parts}: mend or remove, or set `unreadable: skip` of the dataset"
    assert told[1].startswith(f"  {parts}/ok/a/tile00.png: cannot be read")
