"""Archives are checked, unpacked once for all wanted categories, and never fetched twice."""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from server import serving

from defectbench import locks
from defectbench.errors import InputError
from defectbench.images.indexing import index_category
from defectbench.provenance import file_sha256
from defectbench.sources import download, fetching, unpacking
from defectbench.sources.archive import Archive
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
        tar.addfile(tarfile.TarInfo("plate/train/good/notes.txt"))
        member.size = 5 if member.isfile() else 0
        tar.addfile(member, io.BytesIO(b"hello"))
    return path


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "plate/../../outside.txt"])
def test_an_archive_cannot_write_outside(tmp_path: Path, name: str):
    archive = archive_with(tmp_path / "evil.tar", tarfile.TarInfo(name))
    with pytest.raises(InputError, match=r"outside\.txt leads outside"):
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
    with pytest.raises(InputError, match=r"001\.png is a link, a device"):
        unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert list((tmp_path / "inner").iterdir()) == []


KINDS = ["tar", "gztar", "bztar", "xztar", "zip"]


@pytest.fixture(params=KINDS)
def packed(request: pytest.FixtureRequest, category: Path, tmp_path: Path) -> Path:
    """Archive of one category, of each kind that is read."""
    name = str(tmp_path / "packed" / "plate")
    return Path(shutil.make_archive(name, request.param, category.parent, "plate"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def in_plate(folder: Path) -> dict[str, bytes]:
    return {f"plate/{name}": content for name, content in contents(folder).items()}


def counts_as_whole(archive: Path, content: bytes, inner: Path, sound: dict[str, bytes]) -> bool:
    """Whether an archive of this content is unpacked, to something else than the sound one."""
    archive.write_bytes(content)
    with contextlib.suppress(InputError):
        unpack(archive, ["plate"], inner, "d1")
    unpacked = contents(inner)
    shutil.rmtree(inner)
    return unpacked not in ({}, {"plate.from": b"d1"} | sound)


def test_an_archive_of_each_kind_is_unpacked(packed: Path, category: Path, tmp_path: Path):
    unpack(packed, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)


def test_no_archive_that_is_cut_short_anywhere_counts_as_whole(
    packed: Path, category: Path, tmp_path: Path
):
    content, sound = packed.read_bytes(), in_plate(category)
    whole = [
        length
        for length in np.linspace(0, len(content) - 1, 200, dtype=int).tolist()
        if counts_as_whole(packed, content[:length], tmp_path / "inner", sound)
    ]
    assert whole == []


def test_no_archive_with_a_flipped_bit_gives_other_images(
    packed: Path, category: Path, tmp_path: Path
):
    content, sound = packed.read_bytes(), in_plate(category)
    rng, whole = np.random.default_rng(0), []
    for place in np.linspace(0, len(content) - 1, 200, dtype=int).tolist():
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        if counts_as_whole(packed, bytes(flipped), tmp_path / "inner", sound):
            whole.append(place)
    assert whole == []


def refused(archive: Path, inner: Path) -> str:
    """Why an archive is not unpacked; nothing of it is there."""
    with pytest.raises(InputError) as error:
        unpack(archive, ["plate"], inner, "d1")
    assert list(inner.iterdir()) == []
    return str(error.value)


def test_an_archive_appended_to_another_is_not_passed_over(packed: Path, tmp_path: Path):
    packed.write_bytes(packed.read_bytes() * 2)
    reason = refused(packed, tmp_path / "inner")
    assert "more behind its end" in reason or "belong to nothing" in reason


@pytest.mark.parametrize("junk", [b"junk", b"PK\5\6", b"j" * 100_000])
def test_what_is_behind_an_archive_is_not_passed_over(packed: Path, tmp_path: Path, junk: bytes):
    with open(packed, "ab") as stream:
        stream.write(junk)
    assert "cannot be unpacked" in refused(packed, tmp_path / "inner")


@pytest.mark.parametrize("junk", [b"MZ, a program that unpacks itself", b"PK\3\4, more like it"])
def test_what_is_in_front_of_an_archive_is_not_passed_over(
    packed: Path, tmp_path: Path, junk: bytes
):
    packed.write_bytes(junk + packed.read_bytes())
    assert "cannot be unpacked" in refused(packed, tmp_path / "inner")


def zip_of(category: Path, path: Path, comment: bytes = b"") -> bytearray:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in contents(category).items():
            packed.writestr(f"plate/{name}", content)
        packed.comment = comment
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("place", ["first member", "second member", "list"])
def test_a_zip_is_refused_with_bytes_in_it_that_its_list_does_not_name(
    category: Path, tmp_path: Path, place: str
):
    archive = tmp_path / "plate.zip"
    content = zip_of(category, archive)
    with zipfile.ZipFile(archive) as packed:
        offsets = [entry.header_offset for entry in packed.infolist()] + [packed.start_dir]
    at = {"first member": 0, "second member": offsets[1], "list": offsets[-1]}[place]
    listed = offsets[-1]
    for offset in offsets[:-1]:  # the list goes on to name every member where it is
        listed = content.index(b"PK\1\2", listed)
        moved = offset + 7 * (offset >= at)
        content[listed + 42 : listed + 46] = moved.to_bytes(4, "little")
        listed += 46
    end = content.index(b"PK\5\6", listed)
    content[end + 16 : end + 20] = (offsets[-1] + 7).to_bytes(4, "little")
    archive.write_bytes(content[:at] + b"PK\3\4..." + content[at:])
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
    assert "that belong to nothing" in refused(archive, tmp_path / "inner")


def test_a_zip_may_have_a_comment_of_its_own(category: Path, tmp_path: Path):
    archive = tmp_path / "plate.zip"
    content = zip_of(category, archive, b"plates of November")
    unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)
    archive.write_bytes(content + b"junk")
    assert "more behind its end" in refused(archive, tmp_path / "other")
    archive.write_bytes(content[:-4])
    assert "comment is cut short" in refused(archive, tmp_path / "other")


def test_a_zip_that_was_written_to_a_pipe_is_read(category: Path, tmp_path: Path):
    class Pipe(io.RawIOBase):
        """Cannot go back: sizes follow the members."""

        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, content: bytes) -> int:
            self.content += bytes(content)
            return len(content)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in contents(category).items():
            packed.writestr(f"plate/{name}", content)
    archive = tmp_path / "plate.zip"
    archive.write_bytes(pipe.content)
    unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_tar_may_be_compressed_in_several_streams_and_padded(
    category: Path, tmp_path: Path, module: ModuleType
):
    archive = Path(shutil.make_archive(str(tmp_path / "plate"), "tar", category.parent, "plate"))
    content = archive.read_bytes() + bytes(20_480)
    streams = [content[:3000], content[3000:3001], b"", content[3001:]]
    archive.write_bytes(b"".join(map(module.compress, streams)) + bytes(2 << 20))
    unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)


FIRST = "plate/train/good/000.png"


@pytest.mark.parametrize("again", [FIRST, "./plate//train/good/./000.png"])
@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_is_twice_in_a_tar_is_named(
    category: Path, tmp_path: Path, again: str, same: bool
):
    archive = Path(shutil.make_archive(str(tmp_path / "plate"), "tar", category.parent, "plate"))
    other = category / "train" / "good" / ("000.png" if same else "001.png")
    with tarfile.open(archive, "a") as tar:
        tar.add(other, again)
    assert f"{FIRST} is in it twice" in refused(archive, tmp_path / "inner")


@pytest.mark.parametrize("again", [FIRST, FIRST.replace("/", "\\")])
def test_a_file_that_is_twice_in_a_zip_is_named(category: Path, tmp_path: Path, again: str):
    archive = tmp_path / "plate.zip"
    zip_of(category, archive)
    info = zipfile.ZipInfo("x")
    info.filename = again
    warned = pytest.warns(match="Duplicate") if again == FIRST else contextlib.nullcontext()
    with warned, zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(info, b"other")
    assert f"{FIRST} is in it twice" in refused(archive, tmp_path / "inner")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_folder_may_be_twice_in_an_archive(category: Path, tmp_path: Path, kind: str):
    packed = Path(shutil.make_archive(str(tmp_path / "plate"), kind, category.parent, "plate"))
    if kind == "zip":
        with pytest.warns(match="Duplicate"), zipfile.ZipFile(packed, "a") as archive:
            archive.writestr("plate/train/", b"")
    else:
        with tarfile.open(packed, "a") as archive:
            archive.add(category / "train", "plate/train", recursive=False)
    unpack(packed, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)


@pytest.mark.parametrize("kind", ["gztar", "zip"])
def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path, kind: str):
    good = tmp_path / "bomb" / "plate" / "train" / "good"
    good.mkdir(parents=True)
    (good / "000.bmp").write_bytes(bytes(80 << 20))
    archive = Path(shutil.make_archive(str(tmp_path / "plate"), kind, tmp_path / "bomb"))
    assert "more than 67 MB, 100 times its size" in refused(archive, tmp_path / "inner")
    with pytest.raises(InputError, match=rf"{archive.name}: .*get it again.*source: folder"):
        get("plate", Tarball(WHOLE, [], path=str(archive), digest="d1"))


def test_a_zip_of_windows_separators_is_read(category: Path, tmp_path: Path):
    archive = tmp_path / "plate.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in contents(category).items():
            info = zipfile.ZipInfo("x")
            info.filename = f"plate\\{name}".replace("/", "\\")
            packed.writestr(info, content)
    unpack(archive, ["plate"], tmp_path / "inner", "d1")
    assert contents(tmp_path / "inner" / "plate") == contents(category)


def test_an_encrypted_zip_says_so(tmp_path: Path):
    archive = tmp_path / "plate.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("plate/train/good/000.png", b"")
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flags of the member's header, and those in the list at the end
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"000\.png is encrypted"):
        unpack(archive, ["plate"], tmp_path / "inner", "d1")


@pytest.mark.parametrize("place", ["network", "everywhere"])
def test_without_locks_those_of_the_temporary_files_serve_or_a_line_says_so(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    def flock(file, how):
        if place == "everywhere" or "downloads" in file.name:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    if place == "network":
        assert get("plate", served(whole, WHOLE)).is_dir()
        return
    with pytest.raises(
        InputError, match=r"downloads: its file system has no locks.*source: folder"
    ):
        get("plate", served(whole, WHOLE))


def test_a_local_archive_that_is_not_there_is_told_before_the_run(tmp_path: Path):
    entry = {"source": "archive", "path": str(tmp_path / "none.zip"), "all_categories": ["plate"]}
    source = Archive("parts", {"categories": "all", "datasets": {"parts": entry}})
    with pytest.raises(InputError, match=r"none\.zip: no such archive; mend `path`"):
        source.found()


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


def test_what_is_put_there_by_hand_and_no_archive_is_left_to_the_user(tmp_path: Path):
    by_hand = tmp_path / "downloads" / "parts_plate.tar.xz"
    by_hand.parent.mkdir()
    by_hand.write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"parts_plate\.tar\.xz: cannot be unpacked.*delete it"):
        get("plate", Tarball("plate", ["http://127.0.0.1:9/plate.tar.xz"]))
    assert by_hand.is_file()


ANSWERS = {
    "a page to log in": (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html>" * 100),
    "nothing": (204, {}, b""),
    "an empty file": (200, {"Content-Length": "0"}, b""),
    "an archive that is cut short, of a size that is not stated": (200, {}, None),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_no_whole_archive_is_deleted_and_the_next_address_tried(
    plate: Path, small_dataset: Path, tmp_path: Path, answer: str
):
    with serving(plate.read_bytes()) as server:
        status, headers, body = ANSWERS[answer]
        server.answers["/wrong"] = (
            status,
            headers,
            plate.read_bytes()[:-99] if body is None else body,
        )
        with pytest.raises(InputError, match=r"(?s)download failed:\n  http://.*/wrong: .*urls"):
            get("plate", Tarball("plate", [server.url("/wrong")]))
        assert names(tmp_path / "downloads") == []
        made = get("plate", Tarball("plate", [server.url("/wrong"), server.url()]))
    assert index_category(made) == index_category(small_dataset / "plate")


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
