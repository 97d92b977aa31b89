"""A real server that cuts connections, refuses ranges or serves the wrong bytes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from server import Server, serving

from defectbench.errors import InputError
from defectbench.sources.fetching import download

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
