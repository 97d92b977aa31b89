"""Whatever the source, a category ends complete in the MVTec layout, or not at all."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import defectbench.sources
from defectbench.config.schema import SCHEMA
from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.indexing import index_category
from defectbench.sources import dataset_source, source_module
from defectbench.sources.base import ImageSource

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"`(\w+)\.py`:\n\n```python\n(.*?)```", re.DOTALL)


def source(name: str = "folder", **entry: object) -> ImageSource:
    """The source of a dataset called parts."""
    datasets = {"parts": {"source": name} | entry}
    return dataset_source("parts", {"seed": 42, "categories": "all", "datasets": datasets})


def test_every_source_that_the_schema_knows_has_its_class():
    datasets = yaml.safe_load(SCHEMA.read_text())["properties"]["datasets"]
    for name in datasets["additionalProperties"]["properties"]["source"]["enum"]:
        assert source(name).gives in ("images", "features")


def test_the_documented_source_is_found_by_its_name_and_lays_images_out(
    category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ((name, code),) = EXAMPLE.findall((ROOT / "docs" / "datasets.md").read_text())
    (tmp_path / f"{name}.py").write_text(code)
    places = [*defectbench.sources.__path__, str(tmp_path)]
    monkeypatch.setattr(defectbench.sources, "__path__", places)
    for number, file in enumerate(sorted(category.glob("t*/*/*.png"))):
        kind = "ok" if file.parent.name == "good" else "nok"
        file.rename(category / f"{kind}_{number}.png")
    parts = source(name, path=str(category.parent))
    parts.put("plate", tmp_path / "made")
    rows, _ = index_category(tmp_path / "made")
    assert (parts.found(), parts.description) == (["plate"], f"images from {category.parent}")
    assert [sum(row.split == split for row in rows) for split in ("train", "test")] == [15, 13]


def test_own_folders_are_a_folder_whose_good_images_are_named():
    assert source_module({"source": "folder", "path": "x"}) == "mvtec_folder"
    assert source_module({"source": "folder", "path": "x", "good": "ok"}) == "own_folders"


@pytest.fixture
def parts(category: Path) -> ImageSource:
    """The folder that holds the category plate."""
    return source(path=str(category.parent))


def test_a_folder_is_linked_not_copied(parts: ImageSource, category: Path, tmp_path: Path):
    made = tmp_path / "data" / "plate"
    parts.put("plate", made)
    assert (made / "train").readlink() == category / "train"
    assert index_category(made) == index_category(category)


def test_a_missing_category_leaves_nothing_behind(parts: ImageSource, tmp_path: Path):
    with pytest.raises(InputError, match="train/good"):
        parts.put("bolt", tmp_path / "data" / "bolt")
    assert list((tmp_path / "data").iterdir()) == []


def test_what_a_killed_run_left_is_replaced(parts: ImageSource, category: Path, tmp_path: Path):
    left_over = tmp_path / "data" / ".plate.part" / "train" / "good"
    left_over.mkdir(parents=True)
    (left_over / "half.png").write_bytes(b"half")
    made = tmp_path / "data" / "plate"
    parts.put("plate", made)
    assert index_category(made) == index_category(category)
    assert list(made.parent.iterdir()) == [made]


def test_categories_are_the_folders_with_training_images(parts: ImageSource, category: Path):
    (category.parent / "notes").mkdir()
    assert parts.found() == ["plate"]


def test_images_are_known_before_a_run(parts: ImageSource):
    splits = [split for split, _ in parts.images("plate")]
    assert (splits.count("train"), splits.count("test")) == (16, 12)


def origin(parts: ImageSource, folder: Path) -> Any:
    return parts.origin("plate", Contents(folder / "contents.json"))


def test_the_content_of_a_folder_decides_its_images(
    parts: ImageSource, category: Path, tmp_path: Path
):
    before = origin(parts, tmp_path)
    image = category / "train" / "good" / "000.png"
    image.touch()
    assert origin(parts, tmp_path) == before
    image.write_bytes(b"another")
    assert origin(parts, tmp_path) != before
