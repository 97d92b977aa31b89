"""All who look for images walk through folders in the same way."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from defectbench.contents import Contents, states
from defectbench.errors import InputError
from defectbench.folders import walk
from defectbench.images.decoding import load_image
from defectbench.images.layout import images_below


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Images in folders and behind links, hidden ones; links that lead nowhere or in a circle."""
    folder, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    for place in (folder / "line 1" / ".thumbnails", folder / ".cache" / "deep", elsewhere / "b"):
        place.mkdir(parents=True)
    for file in (
        folder / "a.png",
        folder / ".hidden.png",
        folder / "line 1" / "A.PNG",
        folder / "line 1" / ".thumbnails" / "a.png",
        folder / ".cache" / "deep" / "a.png",
        elsewhere / "b" / "c.tif",
    ):
        Image.new("L", (2, 2)).save(file)
    (folder / "notes.txt").touch()
    (folder / "linked.png").symlink_to(elsewhere / "b" / "c.tif")
    (folder / "nowhere.png").symlink_to(elsewhere / "gone.png")
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "linked 1").symlink_to(elsewhere)
    (folder / "linked 2").symlink_to(elsewhere)
    (elsewhere / "b" / "in a circle").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    return folder


IMAGES = [
    "a.png",
    "itself.png",
    "line 1/A.PNG",
    "linked 1/b/c.tif",
    "linked 2/b/c.tif",
    "linked.png",
    "nowhere.png",
    "pipe.png",
]


def test_links_are_followed_and_hidden_files_and_folders_left_alone(tree: Path):
    assert [file.relative_to(tree).as_posix() for file in images_below(tree)] == IMAGES


@pytest.mark.parametrize("name", ["itself.png", "nowhere.png", "pipe.png"])
def test_what_cannot_be_read_is_named_and_nothing_waits_for_it(tree: Path, name: str):
    with pytest.raises(InputError, match=r"cannot be read as an image"):
        load_image(tree / name)


def test_a_hidden_folder_that_is_named_is_searched(tree: Path):
    assert [file.name for file in images_below(tree / ".cache")] == ["a.png"]
    assert images_below(tree / "no folder") == []


def test_what_is_digested_holds_every_image_that_is_found(tree: Path):
    digested = states(tree)
    assert set(IMAGES) <= digested.keys()
    assert {".hidden.png", "notes.txt", ".cache/deep/a.png"} <= digested.keys()


def test_a_second_link_to_a_folder_counts(tree: Path):
    contents = Contents(tree.parent / "contents.json")
    before = contents.digest(tree)
    (tree / "linked 2").unlink()
    assert contents.digest(tree) != before


def test_each_folder_is_entered_once_on_each_way_down(tree: Path):
    entered = [Path(each.path).relative_to(tree).as_posix() for each in walk(tree, for_images=True)]
    assert entered == [".", "line 1", "linked 1", "linked 1/b", "linked 2", "linked 2/b"]


def test_a_folder_that_must_not_be_listed_is_refused_and_digested_as_far_as_it_can_be(
    tree: Path, monkeypatch: pytest.MonkeyPatch
):
    def scandir(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder.endswith("line 1"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return real_scandir(folder)

    real_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert "a.png" in states(tree)
    with pytest.raises(InputError, match="line 1: cannot be listed; allow it"):
        images_below(tree)
