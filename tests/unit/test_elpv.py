"""ELPV comes with its solar modules, and a module is either learnt or tested."""

from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.images.index import group_notes, read_own
from defectbench.images.indexing import index_category
from defectbench.sources import dataset_source


def lay_out(category: str, folder: Path) -> None:
    config = {"datasets": {"elpv": {"source": "elpv"}}}
    dataset_source("elpv", config).put(category, folder)


@pytest.mark.parametrize(
    ("category", "counts", "modules"),
    [("monocrystalline", (285, 303, 138), 18), ("polycrystalline", (461, 459, 200), 26)],
)
def test_whole_modules_are_learnt_or_tested(
    tmp_path: Path, category: str, counts: tuple[int, ...], modules: int
):
    lay_out(category, tmp_path / category)
    rows, _ = index_category(tmp_path / category)
    kinds = [("train", "good"), ("test", "good"), ("test", "defective")]
    assert counts == tuple(sum((row.split, row.defect) == kind for row in rows) for kind in kinds)
    assert len({row.group for row in rows}) == modules
    assert group_notes(rows) == []  # every cell has a module, no module is on both sides


def test_modules_follow_the_file_order(tmp_path: Path):
    lay_out("monocrystalline", tmp_path / "mono")
    known = read_own(tmp_path / "mono")
    cells = {int(link[-8:-4]): own.group for link, own in known.items()}
    # the pictures change between cells 1254 and 1255: the module before has 54 cells
    assert max(cell for cell, module in cells.items() if module == "module21") <= 1254
    assert min(cell for cell, module in cells.items() if module == "module22") > 1254
    assert [cells[cell] for cell in sorted(cells)] == sorted(cells.values())


def test_another_category_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no category thin_film; it has monocrystalline"):
        lay_out("thin_film", tmp_path)
