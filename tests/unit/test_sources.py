"""Whatever the source, a category ends complete in the MVTec layout, or not at all."""

import hashlib
import io
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest

from defectbench.datasets import index_category
from defectbench.errors import InputError
from defectbench.sources import (
    fetch_category,
    folder_categories,
    folder_fingerprint,
    unpack_archive,
)


def fetch(category: str, source: dict, output: Path, sources_csv: Path = Path("none.csv")) -> Path:
    fetch_category(category, source, sources_csv, output)
    return output


def test_a_folder_is_linked_not_copied(category: Path, tmp_path: Path):
    source = {"source": "folder", "path": str(category.parent)}
    made = fetch("plate", source, tmp_path / "data" / "plate")
    assert (made / "train").readlink() == category / "train"
    assert index_category(made) == index_category(category)


def test_a_missing_category_leaves_nothing_behind(category: Path, tmp_path: Path):
    source = {"source": "folder", "path": str(category.parent)}
    with pytest.raises(InputError, match="train/good"):
        fetch("bolt", source, tmp_path / "data" / "bolt")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_is_checked_and_unpacked(category: Path, tmp_path: Path):
    archive = tmp_path / "plate.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(category, "plate")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    sources = tmp_path / "sources.csv"
    sources.write_text(f"category,url,md5\nplate,{archive.as_uri()},{md5}\n")
    made = fetch("plate", {"source": "download"}, tmp_path / "data" / "plate", sources)
    assert index_category(made) == index_category(category)


def test_an_address_of_ones_own_replaces_the_listed_one(category: Path, tmp_path: Path):
    archive = tmp_path / "mine.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(category, "plate")
    source = {"source": "download", "urls": {"plate": [archive.as_uri()]}}
    made = fetch("plate", source, tmp_path / "data" / "plate")
    assert index_category(made) == index_category(category)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["plate"]


def test_a_failed_download_says_what_to_do(tmp_path: Path):
    source = {"source": "download", "urls": {"plate": [(tmp_path / "none.tar").as_uri()]}}
    with pytest.raises(InputError, match=r"(?s)plate.*none\.tar.*source: folder, path: FOLDER"):
        fetch("plate", source, tmp_path / "data" / "plate")


def test_a_download_with_the_wrong_hash_is_refused(category: Path, tmp_path: Path):
    archive = tmp_path / "plate.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(category, "plate")
    sources = tmp_path / "sources.csv"
    sources.write_text(f"category,url,md5\nplate,{archive.as_uri()},{'0' * 32}\n")
    with pytest.raises(InputError, match="MD5"):
        fetch("plate", {"source": "download"}, tmp_path / "data" / "plate", sources)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt"])
def test_an_archive_cannot_write_outside(tmp_path: Path, name: str):
    archive = tmp_path / "evil.tar"
    member = tarfile.TarInfo(name)
    member.size = 5
    with tarfile.open(archive, "w") as tar:
        tar.addfile(member, io.BytesIO(b"hello"))
    if name.startswith("/"):  # the leading slash is stripped: it lands inside
        unpack_archive(archive, tmp_path / "inner" / "out")
        assert (tmp_path / "inner" / "out" / "outside.txt").is_file()
    else:
        with pytest.raises(InputError, match="outside"):
            unpack_archive(archive, tmp_path / "inner" / "out")
        assert not (tmp_path / "inner" / "out").exists()
    assert not (tmp_path / "inner" / "outside.txt").exists()


def test_folder_categories_are_those_with_training_images(category: Path):
    (category.parent / "notes").mkdir()
    assert folder_categories(category.parent) == ["plate"]


def test_fingerprint_notices_a_new_image(category: Path):
    before = folder_fingerprint(category)
    assert folder_fingerprint(category) == before
    (category / "train" / "good" / "new.png").write_bytes(b"")
    assert folder_fingerprint(category) != before


@pytest.mark.parametrize(
    ("name", "counts"), [("monocrystalline", (300, 288, 313)), ("polycrystalline", (460, 460, 402))]
)
def test_elpv_keeps_certain_labels_in_contiguous_blocks(tmp_path: Path, name: str, counts: tuple):
    made = fetch(name, {"source": "elpv"}, tmp_path / name)
    folders = [made / "train" / "good", made / "test" / "good", made / "test" / "defective"]
    names = [sorted(file.name for file in folder.iterdir()) for folder in folders]
    assert tuple(map(len, names)) == counts
    # in file order, defect-free cells alternate between the splits every 20 cells
    splits = dict.fromkeys(names[0], "train") | dict.fromkeys(names[1], "test")
    ordered = [splits[name] for name in sorted(splits)]
    blocks = [set(ordered[start : start + 20]) for start in range(0, len(ordered), 20)]
    assert all(len(block) == 1 for block in blocks)
    assert all(first != second for first, second in pairwise(blocks))
