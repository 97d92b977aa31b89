"""The index lists every image of a category, or says what is wrong with it."""

from pathlib import Path

import pytest
from PIL import Image

from defectbench.datasets import (
    dataset_digest,
    index_category,
    read_index,
    write_index,
)
from defectbench.errors import InputError


def test_index_is_sorted_and_complete(category: Path):
    rows = index_category(category)
    assert [row.path for row in rows] == sorted(row.path for row in rows)
    assert sum(row.split == "train" for row in rows) == 16
    assert sum(row.split == "test" and row.label == 0 for row in rows) == 5
    assert sum(row.label == 1 for row in rows) == 7


def test_a_row_describes_its_file(category: Path):
    row = next(row for row in index_category(category) if row.path == "test/dent/001.png")
    assert (row.split, row.label, row.defect) == ("test", 1, "dent")
    assert (row.width, row.height, row.mode) == (48, 40, "RGB")
    assert row.mask == "ground_truth/dent/001_mask.png"


def test_index_survives_storage(category: Path, tmp_path: Path):
    rows = index_category(category)
    write_index(tmp_path / "index.tsv", rows)
    assert read_index(tmp_path / "index.tsv") == rows


def test_hidden_and_foreign_files_are_not_images(category: Path):
    (category / "train" / "good" / ".hidden.png").write_bytes(b"")
    (category / "train" / "good" / "notes.txt").write_text("hello")
    (category / "train" / "README.md").write_text("hello")
    assert len(index_category(category)) == 28


def test_all_damaged_images_are_listed_at_once(category: Path):
    whole = (category / "train" / "good" / "000.png").read_bytes()
    (category / "train" / "good" / "000.png").write_bytes(whole[: len(whole) // 2])
    (category / "test" / "good" / "001.png").write_bytes(b"")
    with pytest.raises(InputError) as error:
        index_category(category)
    assert "train/good/000.png" in str(error.value)
    assert "test/good/001.png" in str(error.value)


def test_a_missing_training_folder_is_named(category: Path):
    for file in (category / "train" / "good").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="train/good: no images"):
        index_category(category)


def test_dataset_digest_depends_on_pixels_and_nothing_else(category: Path):
    before = dataset_digest(index_category(category))
    assert dataset_digest(index_category(category)) == before
    Image.new("RGB", (48, 40)).save(category / "test" / "good" / "000.png")
    assert dataset_digest(index_category(category)) != before
