"""Whatever the source, a category ends complete in the MVTec layout, or not at all."""

from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.images.indexing import index_category
from defectbench.sources.mvtec_folder import folder_categories, link_category


def test_a_folder_is_linked_not_copied(category: Path, tmp_path: Path):
    made = tmp_path / "data" / "plate"
    link_category(category, made)
    assert (made / "train").readlink() == category / "train"
    assert index_category(made) == index_category(category)


def test_a_missing_category_leaves_nothing_behind(category: Path, tmp_path: Path):
    with pytest.raises(InputError, match="train/good"):
        link_category(category.parent / "bolt", tmp_path / "data" / "bolt")
    assert list((tmp_path / "data").iterdir()) == []


def test_what_a_killed_run_left_is_replaced(category: Path, tmp_path: Path):
    left_over = tmp_path / "data" / ".plate.part" / "train" / "good"
    left_over.mkdir(parents=True)
    (left_over / "half.png").write_bytes(b"half")
    made = tmp_path / "data" / "plate"
    link_category(category, made)
    assert index_category(made) == index_category(category)
    assert list(made.parent.iterdir()) == [made]


def test_folder_categories_are_those_with_training_images(category: Path):
    (category.parent / "notes").mkdir()
    assert folder_categories(category.parent) == ["plate"]
