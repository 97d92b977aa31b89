"""A real server that cuts connections, refuses ranges or serves the wrong bytes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from server import Server, serving

from defectbench.errors import InputError
from defectbench.sources.fetching import download, unfit_address

CONTENT = np.random.default_rng(42).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("defectbench.sources.fetching.BACK_OFF_SECONDS", 0.01)
    with serving(CONTENT) as running:
        yield running


def arrives(urls: list[str], folder: Path) -> bool:
    """Whether the file of the server comes whole from one of some addresses."""
    download(urls, folder / "a", algorithm="md5", digest=MD5)
    return (folder / "a").read_bytes() == CONTENT


def test_a_file_arrives_whole(server: Server, tmp_path: Path):
    assert arrives([server.url()], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_cut_transfer_goes_on_where_it_broke_off(server: Server, tmp_path: Path):
    server.cuts = 2
    assert arrives([server.url()], tmp_path)
    assert server.starts == [0, 1_000_000, 1_666_666]


def test_a_server_without_ranges_is_asked_from_the_start(server: Server, tmp_path: Path):
    server.cuts, server.ranges = 1, False
    assert arrives([server.url()], tmp_path)
    assert server.starts == [0, 0]


def test_what_arrived_is_kept_for_the_next_run(server: Server, tmp_path: Path):
    server.cuts = 5
    with pytest.raises(InputError, match=r"broke off.*\(5 attempts\)"):
        download([server.url()], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    kept = (tmp_path / "a.part").stat().st_size
    assert arrives([server.url()], tmp_path)
    assert server.starts[-1] == kept > 2_000_000


@pytest.mark.parametrize("conditional", [True, False])
def test_two_versions_are_never_spliced(server: Server, tmp_path: Path, conditional: bool):
    server.cuts = 5
    with pytest.raises(InputError, match="broke off"):
        download([server.url()], tmp_path / "a")
    server.content, server.tag, server.conditional = CONTENT[::-1], '"2"', conditional
    download([server.url()], tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_that_begins_elsewhere_is_not_appended(server: Server, tmp_path: Path):
    server.cuts, server.shift = 1, 100
    download([server.url()], tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("tag", ["", 'W/"1"'])
def test_without_a_version_that_can_be_relied_on_a_file_is_fetched_from_its_start(
    server: Server, tmp_path: Path, tag: str
):
    server.cuts, server.tag = 1, tag
    assert arrives([server.url()], tmp_path)
    assert server.starts == [0, 0]


def test_what_came_from_another_address_is_not_gone_on_with(server: Server, tmp_path: Path):
    server.cuts = 5
    with pytest.raises(InputError, match="broke off"):
        download([server.url()], tmp_path / "a")
    assert arrives([server.url("/mirror")], tmp_path)
    assert server.starts[-1] == 0


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path):
    server.errors = 3
    assert arrives([server.url()], tmp_path)


def test_a_missing_file_is_not_asked_for_again_and_the_next_address_is_tried(
    server: Server, tmp_path: Path
):
    assert arrives([server.url("/missing"), server.url()], tmp_path)


def test_wrong_bytes_are_never_kept(server: Server, tmp_path: Path):
    with pytest.raises(InputError, match=f"MD5 is [0-9a-f]+, expected {MD5}"):
        download([server.url("/wrong")], tmp_path / "a", algorithm="md5", digest=MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_left_over_that_is_too_long_is_dropped(server: Server, tmp_path: Path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.part.from").write_text(f'{server.url()}\n"1"')
    assert arrives([server.url()], tmp_path)


def test_that_all_addresses_failed_is_said_of_each(server: Server, tmp_path: Path):
    closed = "http://127.0.0.1:9/bottle.tar.xz"
    with pytest.raises(InputError, match=r"(?s)/missing: HTTP 404.*:9/.*refused"):
        download([server.url("/missing"), closed], tmp_path / "a")


TOTAL = len(CONTENT)


def part(first: int, size: int, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer with some bytes of the file."""
    place = {"Content-Range": f"bytes {first}-{first + size - 1}/{TOTAL}", "ETag": '"1"'}
    return 206, place | headers, CONTENT[first : first + size]


def kept(server: Server, folder: Path) -> None:
    """What an earlier run left: a third of the file, from the path /part."""
    (folder / "a.part").write_bytes(CONTENT[: TOTAL // 3])
    (folder / "a.part.from").write_text(f'{server.url("/part")}\n"1"')


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "10"}])
def test_a_part_that_ends_before_the_file_is_not_the_file(
    server: Server, tmp_path: Path, headers: dict[str, str]
):
    kept(server, tmp_path)
    server.answers["/part"] = part(TOTAL // 3, 10, **headers)
    with pytest.raises(InputError, match=r"/part: .*\(5 attempts\)"):
        download([server.url("/part")], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    del server.answers["/part"]  # the server mends its ways
    assert arrives([server.url("/part")], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_that_ends_where_the_server_says_completes_the_file(server: Server, tmp_path: Path):
    kept(server, tmp_path)
    server.answers["/part"] = part(TOTAL // 3, TOTAL - TOTAL // 3)
    assert arrives([server.url("/part")], tmp_path)


@pytest.mark.parametrize("left_over", [True, False])
def test_a_part_that_nobody_asked_for_is_not_the_file(
    server: Server, tmp_path: Path, left_over: bool
):
    if left_over:
        (tmp_path / "a.part").write_bytes(b"of another address")
    server.answers["/part"] = part(0, 100)
    with pytest.raises(InputError, match=f"broke off after 100 of {TOTAL} bytes|resumes another"):
        download([server.url("/part")], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert arrives([server.url("/part"), server.url()], tmp_path)


WRONG_ANSWERS = {
    "a part of nobody knows what": (206, {}, CONTENT),
    "a part in other units": (206, {"Content-Range": "pages 0-1/2"}, CONTENT),
    "a part from elsewhere": part(10, 90),
    "no content": (204, {}, b""),
    "a later answer": (202, {"Content-Length": "5"}, b"later"),
    "a length in letters": (200, {"Content-Length": "abc"}, CONTENT),
    "a length of 5000 digits": (200, {"Content-Length": "9" * 5000}, CONTENT),
    "a negative length": (200, {"Content-Length": "-5"}, CONTENT),
    "a way to no address": (302, {"Location": "http://[bad/"}, b""),
    "a way to no port": (302, {"Location": "http://127.0.0.1:port/"}, b""),
    "a way to no host": (302, {"Location": f"http://{'x' * 70}/"}, b""),
    "a way to no scheme": (302, {"Location": "gopher://127.0.0.1/"}, b""),
    "a way to itself": (302, {"Location": "/odd"}, b""),
}


@pytest.mark.parametrize("answer", WRONG_ANSWERS)
def test_after_an_answer_that_makes_no_sense_the_next_address_is_tried(
    server: Server, tmp_path: Path, answer: str
):
    server.answers["/odd"] = WRONG_ANSWERS[answer]
    with pytest.raises(InputError, match=r"download failed:\n  http://\S*/odd: \S") as error:
        download([server.url("/odd")], tmp_path / "a")
    assert len(str(error.value)) < 1000
    assert arrives([server.url("/odd"), server.url()], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


UNFIT = [
    "notaurl",
    "http:///x",
    "gopher://host/x",
    "http://host/nöne",
    "http://host/a b",
    "http://host/a\nb",
    "http://[::1/x",
    "http://host:port/x",
    "http://host:99999/x",
    f"http://{'ö' * 70}/x",
    f"http://{'o' * 70}/x",
    "http://a..b/x",
]


@pytest.mark.parametrize("url", UNFIT)
def test_what_is_no_address_is_told_and_the_next_one_tried(
    server: Server, tmp_path: Path, url: str
):
    assert unfit_address(url).startswith("no address")
    if "host" not in url:  # which this machine might ask for in vain
        assert arrives([url, server.url()], tmp_path)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a.tar.xz?x=1#y", "http://[::1]:80/x", "file:///tmp/a%20b", "ftp://h/x"],
)
def test_an_address_that_can_be_asked_for_is_fit(url: str):
    assert unfit_address(url) == ""
