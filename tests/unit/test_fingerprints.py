"""A fingerprint is one of content: it changes when an image does, and with nothing else."""

import os
from pathlib import Path

import pytest

from defectbench.acquisition import fingerprints
from defectbench.acquisition.fingerprints import content_fingerprint


def fingerprint(folder: Path, tmp_path: Path) -> str:
    return content_fingerprint(folder, tmp_path / "memory.json")


def test_an_added_image_changes_it(category: Path, tmp_path: Path):
    before = fingerprint(category, tmp_path)
    assert fingerprint(category, tmp_path) == before
    (category / "train" / "good" / "new.png").write_bytes(b"")
    assert fingerprint(category, tmp_path) != before


def test_a_touched_image_changes_nothing(category: Path, tmp_path: Path):
    before = fingerprint(category, tmp_path)
    os.utime(category / "train" / "good" / "000.png", (1, 1))
    assert fingerprint(category, tmp_path) == before


def test_a_renamed_image_changes_it(category: Path, tmp_path: Path):
    before = fingerprint(category, tmp_path)
    image = category / "train" / "good" / "000.png"
    image.rename(image.with_name("zero.png"))
    assert fingerprint(category, tmp_path) != before


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_an_image_replaced_behind_a_link_changes_it(category: Path, tmp_path: Path, linked: str):
    inner = category / "train" / "good"
    target = inner if linked == "folder" else inner / "000.png"
    real = tmp_path / "elsewhere"
    target.rename(real)
    target.symlink_to(real)
    before = fingerprint(category, tmp_path)
    image = inner / "000.png"
    status = image.stat()
    new = bytes(reversed(image.read_bytes()))  # as many bytes
    (image.resolve()).with_suffix(".new").write_bytes(new)
    os.replace(image.resolve().with_suffix(".new"), image.resolve())
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same age
    assert fingerprint(category, tmp_path) != before


def test_where_the_folder_lies_does_not_count(category: Path, tmp_path: Path):
    before = fingerprint(category, tmp_path)
    moved = category.rename(tmp_path / "moved")
    assert fingerprint(moved, tmp_path) == before


def test_files_are_read_once(category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fingerprint(category, tmp_path)
    monkeypatch.setattr(fingerprints, "file_sha256", lambda file: pytest.fail(f"{file} was read"))
    fingerprint(category, tmp_path)


def test_links_in_a_circle_and_to_nowhere_end(category: Path, tmp_path: Path):
    (category / "circle").symlink_to(category)
    (category / "nowhere").symlink_to(tmp_path / "nowhere")
    before = fingerprint(category, tmp_path)
    assert fingerprint(category, tmp_path) == before


def test_a_file_has_one_too_and_an_absent_folder(tmp_path: Path):
    archive = tmp_path / "parts.tar"
    archive.write_bytes(b"one")
    before = fingerprint(archive, tmp_path)
    archive.write_bytes(b"two")
    assert fingerprint(archive, tmp_path) != before
    fingerprint(tmp_path / "absent", tmp_path)
