"""A real server that cuts connections, refuses ranges or serves the wrong bytes."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from defectbench.downloads import download
from defectbench.errors import InputError

CONTENT = np.random.default_rng(42).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `CONTENT` with the faults a test asks for.

    Attributes
    ----------
    cuts
        How many of the next transfers break off after a third of what was asked for.
    errors
        How many of the next requests are answered with 503.
    ranges
        Whether a part of the file can be asked for.
    starts
        First byte of every transfer so far.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.errors, self.ranges, self.starts = 0, 0, True, []

    def url(self, path: str = "/bottle.tar.xz") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.server.errors:
            self.server.errors -= 1
            self.send_error(503)
            return
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.server.starts.append(start)
        body = CONTENT[start:] if self.path != "/wrong" else b"x" * len(CONTENT)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            body = body[: len(body) // 3]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("defectbench.downloads.BACK_OFF_SECONDS", 0.01)
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_file_arrives_whole(server: Server, tmp_path: Path):
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_cut_transfer_goes_on_where_it_broke_off(server: Server, tmp_path: Path):
    server.cuts = 2
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.starts == [0, 1_000_000, 1_666_666]


def test_a_server_without_ranges_is_asked_from_the_start(server: Server, tmp_path: Path):
    server.cuts, server.ranges = 1, False
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.starts == [0, 0]


def test_what_arrived_is_kept_for_the_next_run(server: Server, tmp_path: Path):
    server.cuts = 5
    with pytest.raises(InputError, match=r"broke off.*\(5 attempts\)"):
        download([server.url()], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    kept = (tmp_path / "a.part").stat().st_size
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert server.starts[-1] == kept > 2_000_000


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path):
    server.errors = 3
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_again_and_the_next_address_is_tried(
    server: Server, tmp_path: Path
):
    urls = [server.url("/missing"), server.url()]
    download(urls, tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_wrong_bytes_are_never_kept(server: Server, tmp_path: Path):
    with pytest.raises(InputError, match=f"MD5 is [0-9a-f]+, expected {MD5}"):
        download([server.url("/wrong")], tmp_path / "a", algorithm="md5", digest=MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_left_over_that_is_too_long_is_dropped(server: Server, tmp_path: Path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    download([server.url()], tmp_path / "a", algorithm="md5", digest=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_that_all_addresses_failed_is_said_of_each(server: Server, tmp_path: Path):
    closed = "http://127.0.0.1:9/bottle.tar.xz"
    with pytest.raises(InputError, match=r"(?s)/missing: HTTP 404.*:9/.*refused"):
        download([server.url("/missing"), closed], tmp_path / "a")
