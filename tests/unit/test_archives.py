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
from defectbench.sources import download, fetching, unpacking
from defectbench.sources.download import Download
from defectbench.sources.unpacking import WHOLE, PackedSource, Tarball, unpack

HEADER = "category,url,bytes,md5,sha256\n"


@pytest.fixture
def whole(small_dataset: Path, tmp_path: Path) -> Path:
    """Archive of both categories."""
    return Path(shutil.make_archive(str(tmp_path / "served" / "all"), "xztar", small_dataset))


@pytest.fixture
def plate(small_dataset: Path, tmp_path: Path) -> Path:
    """Archive of one category."""
    name = str(tmp_path / "served" / "plate")
    return Path(shutil.make_archive(name, "xztar", small_dataset, "plate"))


@pytest.fixture(autouse=True)
def resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives and what is in them lie in a folder of the test's own."""
    monkeypatch.setattr(unpacking, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setattr(unpacking, "DOWNLOADS", tmp_path / "downloads")


def get(category: str, archive: Tarball, wanted: tuple = ("plate",), keep: bool = False) -> Path:
    """Folder of a category that is in an archive, unpacked as for a run of those wanted."""

    class Packed(PackedSource):
        def origin(self, category, contents):
            return None

        def tarball(self, category, origin):
            return archive

    entry = {"all_categories": ["plate", "ring", "bolt"], "keep_archive": keep}
    source = Packed("parts", {"categories": wanted, "datasets": {"parts": entry}})
    linked = unpacking.UNPACKED.with_name("linked") / category
    source.put(category, linked)
    return (linked / "train").resolve().parent


def served(path: Path, holds: str, **known: object) -> Tarball:
    return Tarball(holds, [path.as_uri()], **known)


def names(folder: Path) -> list[str]:
    """Files and folders, without the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_whole_archive_is_unpacked_once_for_all_wanted_categories_and_not_kept(
    whole: Path, small_dataset: Path, tmp_path: Path
):
    archive = served(whole, WHOLE, algorithm="sha256", digest=file_sha256(whole))
    made = get("plate", archive, wanted=("plate", "ring"))
    assert index_category(made) == index_category(small_dataset / "plate")
    assert names(tmp_path / "downloads") == []
    whole.unlink()  # the second category needs no archive
    made = get("ring", archive, wanted=("plate", "ring"))
    assert index_category(made) == index_category(small_dataset / "ring")


def test_the_umask_says_who_may_read_what_is_unpacked(whole: Path, tmp_path: Path):
    before = os.umask(0o027)
    try:
        folder = get("plate", served(whole, WHOLE))
    finally:
        os.umask(before)
    modes = {
        kind: {path.stat().st_mode & 0o777 for path in folder.rglob(pattern)}
        for kind, pattern in (("files", "*.png"), ("folders", "good"))
    }
    assert modes == {"files": {0o640}, "folders": {0o750}}


def test_only_what_is_wanted_is_unpacked(whole: Path, tmp_path: Path):
    get("plate", served(whole, WHOLE))
    assert names(tmp_path / "unpacked" / "parts") == ["plate", "plate.from"]


def test_an_archive_is_kept_if_asked_for(whole: Path, tmp_path: Path):
    get("plate", served(whole, WHOLE), keep=True)
    assert names(tmp_path / "downloads") == ["parts_all.tar.xz"]
    whole.unlink()
    get("ring", served(whole, WHOLE), wanted=("plate", "ring"), keep=True)


def test_a_local_archive_stays(whole: Path, tmp_path: Path):
    get("plate", Tarball(WHOLE, [], path=str(whole), digest="d1"))
    assert whole.is_file()


def test_another_archive_replaces_what_the_first_one_held(
    whole: Path, small_dataset: Path, tmp_path: Path
):
    get("plate", Tarball(WHOLE, [], path=str(whole), digest="d1"))
    (tmp_path / "unpacked" / "parts" / "plate" / "old.png").write_bytes(b"")
    made = get("plate", Tarball(WHOLE, [], path=str(whole), digest="d2"))
    assert not (made / "old.png").exists()
    assert index_category(made) == index_category(small_dataset / "plate")


def test_single_archives_are_checked_by_their_hash(
    plate: Path, small_dataset: Path, tmp_path: Path
):
    with pytest.raises(InputError, match="MD5"):
        get("plate", served(plate, "plate", algorithm="md5", digest="0" * 32))
    assert not (tmp_path / "unpacked").exists()
    made = get("plate", served(plate, "plate"))
    assert index_category(made) == index_category(small_dataset / "plate")


def listed(**entry: object) -> Tarball:
    """The archive of the category plate by a list of addresses, or by addresses of one's own."""
    return Download("parts", {"datasets": {"parts": entry}}).tarball("plate")


def test_the_listed_archive_is_the_whole_one_unless_single_ones_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(download, "FACTS", tmp_path)
    (tmp_path / "parts_sources.csv").write_text(
        f"{HEADER}all,http://a/all.tar.xz,7,,{'e' * 64}\nplate,http://a/p,,{'f' * 32},\n"
    )
    assert listed() == Tarball(WHOLE, ["http://a/all.tar.xz"], "", 7, "sha256", "e" * 64)
    assert listed(archives="single") == Tarball("plate", ["http://a/p"], "", 0, "md5", "f" * 32)


def test_an_address_of_ones_own_replaces_the_listed_one():
    assert listed(urls={"plate": ["http://b/p"]}) == Tarball("plate", ["http://b/p"])
    assert listed(urls={"all": ["http://b/all"]}) == Tarball(WHOLE, ["http://b/all"])
    with pytest.raises(InputError, match=r"parts_sources\.csv: missing"):
        listed()


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "BACK_OFF_SECONDS", 0)
    with pytest.raises(InputError, match=r"(?s)category plate.*none\.tar.*source: folder"):
        get("plate", served(tmp_path / "none.tar", "plate"))


def test_a_category_that_the_archive_lacks_is_named(whole: Path, tmp_path: Path):
    with pytest.raises(InputError, match="holds no bolt/train/good"):
        get("bolt", served(whole, WHOLE), wanted=("bolt",))


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


@pytest.mark.parametrize("kind", ["xztar", "gztar", "tar"])
def test_a_truncated_archive_is_refused_and_leaves_nothing(
    category: Path, tmp_path: Path, kind: str
):
    archive = Path(shutil.make_archive(str(tmp_path / "plate"), kind, category.parent, "plate"))
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
    wrong = Tarball("plate", gone, size=5)
    with pytest.raises(InputError, match=r"parts_plate\.tar\.xz: has \d+ bytes.*delete it"):
        get("plate", wrong)
    right = Tarball("plate", gone, size=by_hand.stat().st_size)
    assert index_category(get("plate", right)) == index_category(small_dataset / "plate")


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
        get("plate", served(whole, WHOLE, **known))
    assert names(tmp_path / "downloads") == []


def test_what_a_killed_run_left_is_replaced(whole: Path, tmp_path: Path):
    left_over = tmp_path / "unpacked" / "parts" / ".unpacking" / "plate"
    left_over.mkdir(parents=True)
    get("plate", served(whole, WHOLE))
    assert not left_over.exists()


def test_of_two_jobs_one_downloads(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from concurrent.futures import ThreadPoolExecutor

    fetched = []
    real = unpacking.download
    monkeypatch.setattr(
        unpacking, "download", lambda *args, **kw: (fetched.append(1), real(*args, **kw))
    )
    with ThreadPoolExecutor(2) as pool:
        both = ("plate", "ring")
        jobs = [pool.submit(get, name, served(whole, WHOLE), both) for name in both]
    assert all((job.result() / "train" / "good").is_dir() for job in jobs)
    assert len(fetched) == 1
