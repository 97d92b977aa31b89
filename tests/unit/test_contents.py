"""A digest is one of content: it changes when a file does, and with nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from defectbench import contents
from defectbench.contents import ABSENT, Contents


def digest(path: Path, tmp_path: Path) -> str:
    """As a run of its own sees it, with what earlier ones remembered."""
    found = Contents(tmp_path / "memory.json")
    try:
        return found.digest(path)
    finally:
        found.save()


def test_an_added_image_changes_it(category: Path, tmp_path: Path):
    before = digest(category, tmp_path)
    assert digest(category, tmp_path) == before
    (category / "train" / "good" / "new.png").write_bytes(b"")
    assert digest(category, tmp_path) != before


def test_a_touched_image_changes_nothing(category: Path, tmp_path: Path):
    before = digest(category, tmp_path)
    os.utime(category / "train" / "good" / "000.png", (1, 1))
    assert digest(category, tmp_path) == before


def test_a_renamed_image_changes_it(category: Path, tmp_path: Path):
    before = digest(category, tmp_path)
    image = category / "train" / "good" / "000.png"
    image.rename(image.with_name("zero.png"))
    assert digest(category, tmp_path) != before


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_an_image_replaced_behind_a_link_changes_it(category: Path, tmp_path: Path, linked: str):
    inner = category / "train" / "good"
    target = inner if linked == "folder" else inner / "000.png"
    real = tmp_path / "elsewhere"
    target.rename(real)
    target.symlink_to(real)
    before = digest(category, tmp_path)
    image = inner / "000.png"
    status = image.stat()
    new = bytes(reversed(image.read_bytes()))  # as many bytes
    (image.resolve()).with_suffix(".new").write_bytes(new)
    os.replace(image.resolve().with_suffix(".new"), image.resolve())
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same age
    assert digest(category, tmp_path) != before


def test_where_the_folder_lies_does_not_count(category: Path, tmp_path: Path):
    before = digest(category, tmp_path)
    moved = category.rename(tmp_path / "moved")
    assert digest(moved, tmp_path) == before


def test_files_are_read_once(category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digest(category, tmp_path)
    monkeypatch.setattr(contents, "_digest", lambda file: pytest.fail(f"{file} was read"))
    digest(category, tmp_path)


def test_links_in_a_circle_and_to_nowhere_end(category: Path, tmp_path: Path):
    (category / "circle").symlink_to(category)
    (category / "nowhere").symlink_to(tmp_path / "nowhere")
    before = digest(category, tmp_path)
    assert digest(category, tmp_path) == before


def test_a_file_has_one_too_and_an_absent_folder(tmp_path: Path):
    archive = tmp_path / "parts.tar"
    archive.write_bytes(b"one")
    before = digest(archive, tmp_path)
    archive.write_bytes(b"three")
    assert digest(archive, tmp_path) != before
    assert digest(tmp_path / "absent", tmp_path) == ABSENT


@pytest.mark.parametrize("copied", [shutil.copy2, shutil.move])
def test_a_file_replaced_by_an_older_one_changes_it(tmp_path: Path, copied: Callable):
    weights, backup = tmp_path / "weights.pth", tmp_path / "backup.pth"
    backup.write_bytes(b"old")
    weights.write_bytes(b"new")
    os.utime(backup, (1, 1))
    before = digest(weights, tmp_path)
    copied(backup, weights)
    assert digest(weights, tmp_path) != before


def test_a_damaged_memory_is_not_believed(category: Path, tmp_path: Path):
    before = digest(category, tmp_path)
    for damage in ("{", "[]", "7"):
        (tmp_path / "memory.json").write_text(damage)
        assert digest(category, tmp_path) == before
