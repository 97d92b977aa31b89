"""Whatever the source, a category ends complete in the MVTec layout, or not at all."""

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from defectbench.acquisition.sources import (
    fetch_archive,
    fetch_category,
    folder_categories,
    folder_fingerprint,
    unpack_archive,
)
from defectbench.errors import InputError
from defectbench.images.indexing import index_category
from defectbench.provenance import file_sha256


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
    sources.write_text(f"category,url,bytes,md5,sha256\nplate,{archive.as_uri()},,{md5},\n")
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
    sources.write_text(f"category,url,bytes,md5,sha256\nplate,{archive.as_uri()},,{'0' * 32},\n")
    with pytest.raises(InputError, match="MD5"):
        fetch("plate", {"source": "download"}, tmp_path / "data" / "plate", sources)
    assert list((tmp_path / "data").iterdir()) == []


def archive_with(path: Path, member: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("plate/train/good/000.png"))
        member.size = 5 if member.isfile() else 0
        tar.addfile(member, io.BytesIO(b"hello"))
    return path


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "plate/../../outside.txt"])
def test_an_archive_cannot_write_outside(tmp_path: Path, name: str):
    archive = archive_with(tmp_path / "evil.tar", tarfile.TarInfo(name))
    with pytest.raises(InputError, match=r"outside\.txt leads outside; nothing was unpacked"):
        unpack_archive(archive, tmp_path / "inner" / "out")
    assert list((tmp_path / "inner").iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_not_unpacked(tmp_path: Path, kind: bytes):
    member = tarfile.TarInfo("plate/train/good/001.png")
    member.type, member.linkname = kind, "plate/train/good/000.png"
    archive = archive_with(tmp_path / "evil.tar", member)
    with pytest.raises(InputError, match=r"001\.png is a link or device; nothing was unpacked"):
        unpack_archive(archive, tmp_path / "inner" / "out")
    assert list((tmp_path / "inner").iterdir()) == []


@pytest.mark.parametrize("suffix", ["tar.xz", "tar.gz", "tar"])
def test_a_truncated_archive_is_refused_and_leaves_nothing(
    category: Path, tmp_path: Path, suffix: str
):
    archive = tmp_path / f"plate.{suffix}"
    with tarfile.open(archive, f"w:{suffix[4:]}") as tar:
        tar.add(category, "plate")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack_archive(archive, tmp_path / "inner" / "out")
    assert list((tmp_path / "inner").iterdir()) == []


def test_what_a_killed_run_left_is_replaced(category: Path, tmp_path: Path):
    left_over = tmp_path / "data" / ".plate.part" / "train" / "good"
    left_over.mkdir(parents=True)
    (left_over / "half.png").write_bytes(b"half")
    made = fetch(
        "plate", {"source": "folder", "path": str(category.parent)}, tmp_path / "data/plate"
    )
    assert index_category(made) == index_category(category)
    assert list(made.parent.iterdir()) == [made]


def test_an_archive_put_there_by_hand_is_checked_and_used(category: Path, tmp_path: Path):
    sources = tmp_path / "sources.csv"
    by_hand = tmp_path / "data" / "plate.tar.xz"
    by_hand.parent.mkdir()
    with tarfile.open(by_hand, "w:xz") as tar:
        tar.add(category, "plate")
    md5 = hashlib.md5(by_hand.read_bytes()).hexdigest()
    listed = "category,url,bytes,md5,sha256\nplate,http://127.0.0.1:9/plate.tar.xz"
    sources.write_text(f"{listed},,{'0' * 32},\n")
    with pytest.raises(InputError, match=r"plate\.tar\.xz: MD5 is .*delete it"):
        fetch("plate", {"source": "download"}, tmp_path / "data" / "plate", sources)
    sources.write_text(f"{listed},{by_hand.stat().st_size},{md5},\n")
    made = fetch("plate", {"source": "download"}, tmp_path / "data" / "plate", sources)
    assert index_category(made) == index_category(category)


def test_the_archive_of_all_categories_is_checked_by_size_and_hash(category: Path, tmp_path: Path):
    whole = shutil.make_archive(str(tmp_path / "all"), "xztar", category.parent)
    size, digest = Path(whole).stat().st_size, file_sha256(whole)
    sources = tmp_path / "sources.csv"
    listed = f"category,url,bytes,md5,sha256\nall,{Path(whole).as_uri()}"
    for row, problem in (
        (f"{size + 1},,{digest}", f"has {size} bytes, expected {size + 1}"),
        (f"{size},,{'0' * 64}", "SHA256 is"),
    ):
        sources.write_text(f"{listed},{row}\n")
        with pytest.raises(InputError, match=f"{problem}.*\n.*set `path`"):
            fetch_archive({"source": "archive"}, sources, tmp_path / "made.tar.xz")
    sources.write_text(f"{listed},{size},,{digest}\n")
    fetch_archive({"source": "archive"}, sources, tmp_path / "made.tar.xz")
    unpack_archive(tmp_path / "made.tar.xz", tmp_path / "unpacked")
    assert index_category(tmp_path / "unpacked" / "plate") == index_category(category)


def test_folder_categories_are_those_with_training_images(category: Path):
    (category.parent / "notes").mkdir()
    assert folder_categories(category.parent) == ["plate"]


def test_fingerprint_notices_a_new_image(category: Path):
    before = folder_fingerprint(category)
    assert folder_fingerprint(category) == before
    (category / "train" / "good" / "new.png").write_bytes(b"")
    assert folder_fingerprint(category) != before
