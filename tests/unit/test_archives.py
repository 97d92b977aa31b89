"""Archives are checked, unpacked once for all wanted categories, and never fetched twice."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from defectbench.errors import InputError
from defectbench.images.indexing import index_category
from defectbench.provenance import file_sha256
from defectbench.sources import archives, downloads
from defectbench.sources.archives import (
    WHOLE,
    Archive,
    category_archive,
    unpack,
    unpacked_category,
)

HEADER = "category,url,bytes,md5,sha256\n"


@pytest.fixture
def whole(small_dataset: Path, tmp_path: Path) -> Path:
    """Archive of both categories."""
    return Path(shutil.make_archive(str(tmp_path / "served" / "all"), "xztar", small_dataset))


@pytest.fixture
def plate(small_dataset: Path, tmp_path: Path) -> Path:
    """Archive of one category."""
    path = tmp_path / "served" / "plate.tar.xz"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:xz") as tar:
        tar.add(small_dataset / "plate", "plate")
    return path


def get(
    category: str, archive: Archive, folder: Path, wanted: tuple = ("plate",), keep: bool = False
) -> Path:
    unpacked, downloads = folder / "unpacked" / "parts", folder / "downloads"
    return unpacked_category(category, archive, wanted, unpacked, downloads, keep=keep)


def served(path: Path, holds: str, **known: object) -> Archive:
    return Archive(holds, [path.as_uri()], **known)


def names(folder: Path) -> list[str]:
    """Files and folders, without the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_whole_archive_is_unpacked_once_for_all_wanted_categories_and_not_kept(
    whole: Path, small_dataset: Path, tmp_path: Path
):
    archive = served(whole, WHOLE, algorithm="sha256", digest=file_sha256(whole))
    made = get("plate", archive, tmp_path, wanted=("plate", "ring"))
    assert index_category(made) == index_category(small_dataset / "plate")
    assert names(tmp_path / "downloads") == []
    whole.unlink()  # the second category needs no archive
    made = get("ring", archive, tmp_path, wanted=("plate", "ring"))
    assert index_category(made) == index_category(small_dataset / "ring")


def test_the_umask_says_who_may_read_what_is_unpacked(whole: Path, tmp_path: Path):
    before = os.umask(0o027)
    try:
        folder = get("plate", served(whole, WHOLE), tmp_path)
    finally:
        os.umask(before)
    modes = {
        kind: {path.stat().st_mode & 0o777 for path in folder.rglob(pattern)}
        for kind, pattern in (("files", "*.png"), ("folders", "good"))
    }
    assert modes == {"files": {0o640}, "folders": {0o750}}


def test_only_what_is_wanted_is_unpacked(whole: Path, tmp_path: Path):
    get("plate", served(whole, WHOLE), tmp_path)
    assert names(tmp_path / "unpacked" / "parts") == ["plate", "plate.from"]


def test_an_archive_is_kept_if_asked_for(whole: Path, tmp_path: Path):
    get("plate", served(whole, WHOLE), tmp_path, keep=True)
    assert names(tmp_path / "downloads") == ["parts_all.tar.xz"]
    whole.unlink()
    get("ring", served(whole, WHOLE), tmp_path, wanted=("plate", "ring"), keep=True)


def test_a_local_archive_stays(whole: Path, tmp_path: Path):
    get("plate", Archive(WHOLE, [], path=str(whole), digest="d1"), tmp_path)
    assert whole.is_file()


def test_another_archive_replaces_what_the_first_one_held(
    whole: Path, small_dataset: Path, tmp_path: Path
):
    get("plate", Archive(WHOLE, [], path=str(whole), digest="d1"), tmp_path)
    (tmp_path / "unpacked" / "parts" / "plate" / "old.png").write_bytes(b"")
    made = get("plate", Archive(WHOLE, [], path=str(whole), digest="d2"), tmp_path)
    assert not (made / "old.png").exists()
    assert index_category(made) == index_category(small_dataset / "plate")


def test_single_archives_are_checked_by_their_hash(
    plate: Path, small_dataset: Path, tmp_path: Path
):
    with pytest.raises(InputError, match="MD5"):
        get("plate", served(plate, "plate", algorithm="md5", digest="0" * 32), tmp_path)
    assert not (tmp_path / "unpacked").exists()
    made = get("plate", served(plate, "plate"), tmp_path)
    assert index_category(made) == index_category(small_dataset / "plate")


def test_the_listed_archive_is_the_whole_one_unless_single_ones_are_asked_for(tmp_path: Path):
    listed = tmp_path / "sources.csv"
    listed.write_text(
        f"{HEADER}all,http://a/all.tar.xz,7,,{'e' * 64}\nplate,http://a/p,,{'f' * 32},\n"
    )
    whole = Archive(WHOLE, ["http://a/all.tar.xz"], "", 7, "sha256", "e" * 64)
    assert category_archive("plate", {}, listed) == whole
    single = Archive("plate", ["http://a/p"], "", 0, "md5", "f" * 32)
    assert category_archive("plate", {"archives": "single"}, listed) == single


def test_an_address_of_ones_own_replaces_the_listed_one(tmp_path: Path):
    nowhere = tmp_path / "none.csv"
    own = category_archive("plate", {"urls": {"plate": ["http://b/p"]}}, nowhere)
    assert own == Archive("plate", ["http://b/p"])
    own = category_archive("plate", {"urls": {"all": ["http://b/all"]}}, nowhere)
    assert own == Archive(WHOLE, ["http://b/all"])
    with pytest.raises(InputError, match=r"none\.csv: missing"):
        category_archive("plate", {}, nowhere)


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(downloads, "BACK_OFF_SECONDS", 0)
    with pytest.raises(InputError, match=r"(?s)category plate.*none\.tar.*source: folder"):
        get("plate", served(tmp_path / "none.tar", "plate"), tmp_path)


def test_a_category_that_the_archive_lacks_is_named(whole: Path, tmp_path: Path):
    with pytest.raises(InputError, match="holds no bolt/train/good"):
        get("bolt", served(whole, WHOLE), tmp_path, wanted=("bolt",))


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
        unpack(archive, ["plate"], tmp_path / "inner", "d1")
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
        unpack(archive, ["plate"], tmp_path / "inner", "d1")
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
        unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert list((tmp_path / "inner").iterdir()) == []


def test_an_archive_put_there_by_hand_is_checked_and_used(
    plate: Path, small_dataset: Path, tmp_path: Path
):
    by_hand = tmp_path / "downloads" / "parts_plate.tar.xz"
    by_hand.parent.mkdir()
    plate.rename(by_hand)
    gone = ["http://127.0.0.1:9/plate.tar.xz"]
    wrong = Archive("plate", gone, size=5)
    with pytest.raises(InputError, match=r"parts_plate\.tar\.xz: has \d+ bytes.*delete it"):
        get("plate", wrong, tmp_path)
    right = Archive("plate", gone, size=by_hand.stat().st_size)
    assert index_category(get("plate", right, tmp_path)) == index_category(small_dataset / "plate")


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"size": 1}, "bytes, expected 1"),
        ({"algorithm": "sha256", "digest": "0" * 64}, "SHA256 is"),
    ],
)
def test_the_archive_of_all_categories_is_checked_by_size_and_hash(
    whole: Path, tmp_path: Path, known: dict, problem: str
):
    with pytest.raises(InputError, match=f"(?s)all categories in one archive.*{problem}"):
        get("plate", served(whole, WHOLE, **known), tmp_path)
    assert names(tmp_path / "downloads") == []


def test_what_a_killed_run_left_is_replaced(whole: Path, tmp_path: Path):
    left_over = tmp_path / "unpacked" / "parts" / ".unpacking" / "plate"
    left_over.mkdir(parents=True)
    get("plate", served(whole, WHOLE), tmp_path)
    assert not left_over.exists()


def test_of_two_jobs_one_downloads(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from concurrent.futures import ThreadPoolExecutor

    fetched = []
    real = archives.download
    monkeypatch.setattr(
        archives, "download", lambda *args, **kw: (fetched.append(1), real(*args, **kw))
    )
    with ThreadPoolExecutor(2) as pool:
        both = ("plate", "ring")
        jobs = [pool.submit(get, name, served(whole, WHOLE), tmp_path, both) for name in both]
    assert all((job.result() / "train" / "good").is_dir() for job in jobs)
    assert len(fetched) == 1
