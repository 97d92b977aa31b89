"""Defective parts told to others: in order, once each, and never at the cost of a verdict."""

import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from defectbench.deployment import events
from defectbench.deployment.events import EventQueue
from defectbench.deployment.receivers import UndeliveredError, by_command, by_post
from defectbench.errors import InputError
from defectbench.score_table import COLUMNS, Row

DEADLINE = 20


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "PAUSES", (0.01,))


class Receiver:
    """Takes events, unless it is down."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.is_down, self.tries = False, 0

    def __call__(self, event: bytes) -> None:
        self.tries += 1
        if self.is_down:
            raise UndeliveredError("cannot be reached")
        self.got.append(json.loads(event))

    @property
    def paths(self) -> list[str]:
        return [event["path"] for event in self.got]


def row(path: str) -> Row:
    numbers = {"score": "2.5", "threshold": "1.0"}
    return dict.fromkeys(COLUMNS, "x") | numbers | {"path": path, "verdict": "defective"}


def queue(folder: Path, receiver: Receiver, known: dict | None = None, **most: int) -> EventQueue:
    return EventQueue(folder, receiver, "plc", known or {}, **most)


def announce(to: EventQueue, *paths: str) -> None:
    for path in paths:
        with to.announced(row(path), "abc"):
            pass


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


# the queue


def test_an_event_tells_path_score_threshold_verdict_and_detector(tmp_path: Path):
    receiver = Receiver()
    told = queue(tmp_path, receiver)
    announce(told, "a.png")
    told.close()
    (event,) = receiver.got
    assert len(event.pop("id")) == 32
    assert event == {
        "path": "a.png",
        "score": 2.5,
        "threshold": 1.0,
        "verdict": "defective",
        "detector_sha256": "abc",
        "time": "x",
        "sha256": "x",
    }


def test_what_a_receiver_that_is_down_misses_it_gets_in_order_once_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    receiver = Receiver()
    receiver.is_down = True
    told, paths = queue(tmp_path, receiver), [f"{k}.png" for k in range(30)]
    announce(told, *paths[:20])
    wait_for(lambda: receiver.tries > 3)
    receiver.is_down = False
    announce(told, *paths[20:])
    told.close()
    assert receiver.paths == paths
    assert list((tmp_path / "events").iterdir()) == []
    said = capsys.readouterr().err
    assert said.count("plc cannot be reached; they wait in") == 1
    assert "events: plc takes them again" in said


def test_what_is_left_at_the_end_the_next_run_sends(tmp_path: Path, capsys: pytest.CaptureFixture):
    receiver = Receiver()
    receiver.is_down = True
    told = queue(tmp_path, receiver)
    announce(told, "a.png", "b.png")
    told.close()
    assert "events: 2 wait in" in capsys.readouterr().err
    receiver.is_down = False
    told = queue(tmp_path, receiver)
    announce(told, "c.png")
    told.close()
    assert receiver.paths == ["a.png", "b.png", "c.png"]


def test_a_verdict_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path):
    answers = threading.Event()
    told = EventQueue(tmp_path, lambda _: answers.wait() and None, "plc", {})
    announce(told, "a.png", "b.png")  # ends
    assert told.waiting == 2
    answers.set()
    told.close()
    assert told.waiting == 0


def test_a_full_queue_is_told_and_verdicts_go_on(tmp_path: Path, capsys: pytest.CaptureFixture):
    receiver = Receiver()
    receiver.is_down = True
    told = queue(tmp_path, receiver, most=2)
    announce(told, "a.png", "b.png", "c.png", "d.png")
    said = capsys.readouterr().err
    assert said.count("2 wait, as many as are kept: of further ones plc is not told") == 1
    receiver.is_down = False
    wait_for(lambda: told.waiting == 0)
    announce(told, "e.png")
    told.close()
    assert receiver.paths == ["a.png", "b.png", "e.png"]
    assert "events: plc was not told of 2: too many waited" in capsys.readouterr().err


@pytest.mark.parametrize("has_row", [True, False])
def test_a_kill_leaves_a_row_and_its_event_or_neither(tmp_path: Path, has_row: bool):
    receiver = Receiver()
    told = queue(tmp_path, receiver)
    with pytest.raises(KeyboardInterrupt), told.announced(row("a.png"), "abc"):
        raise KeyboardInterrupt
    told.close()
    assert receiver.got == []
    told = queue(tmp_path, receiver, {"a.png": "x"} if has_row else {})
    told.close()
    assert receiver.paths == ["a.png"] * has_row
    assert list((tmp_path / "events").iterdir()) == []


# receivers


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers, body))
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/taken")
        else:
            self.send_response(503 if self.path == "/busy" else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.got = []
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def test_an_event_is_posted_with_the_header_that_the_environment_holds(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOKEN", "Authorization: Bearer s3cret")
    send, receiver = by_post(f"http://127.0.0.1:{server.server_port}/taken?key=1", "TOKEN")
    send(b'{"path": "a.png"}')
    ((path, headers, body),) = server.got
    assert (path, body) == ("/taken?key=1", b'{"path": "a.png"}')
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"
    assert receiver == f"127.0.0.1:{server.server_port}"  # without what may be secret


@pytest.mark.parametrize(
    ("path", "reason"), [("/busy", "answers 503"), ("/elsewhere", "answers 302")]
)
def test_any_other_answer_and_a_redirect_is_no_delivery(
    server: ThreadingHTTPServer, path: str, reason: str
):
    send, _ = by_post(f"http://127.0.0.1:{server.server_port}{path}")
    with pytest.raises(UndeliveredError, match=reason):
        send(b"{}")
    assert [each for each, *_ in server.got] == [path]


def test_an_address_that_nobody_listens_at_is_no_delivery(server: ThreadingHTTPServer):
    send, _ = by_post(f"http://127.0.0.1:{server.server_port}/taken")
    server.shutdown()
    server.server_close()
    with pytest.raises(UndeliveredError, match="cannot be reached"):
        send(b"{}")


def test_the_certificate_of_an_https_address_is_checked(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    options += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", *options, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_port}/taken"
    send, _ = by_post(url)
    with pytest.raises(UndeliveredError, match="certificate verify failed"):
        send(b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send, _ = by_post(url)
    send(b"{}")
    assert [body for *_, body in server.got] == [b"{}"]


@pytest.mark.parametrize(
    "url", ["host/path", "file:///etc/passwd", "http://", "http://me:s3cret@host/", "http://h:x/"]
)
def test_an_address_that_cannot_be_posted_to_is_refused_without_its_secrets(url: str):
    with pytest.raises(InputError, match="--on-defective") as caught:
        by_post(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("header", ["", "s3cret", "A: s3cret\nB: x", "A b: s3cret", "A: s3crét"])
def test_a_header_that_is_none_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, header: str
):
    monkeypatch.setenv("TOKEN", header)
    with pytest.raises(InputError, match="--header-variable TOKEN") as caught:
        by_post("https://host/", "TOKEN")
    assert "s3cr" not in str(caught.value)


def test_a_command_gets_the_event_as_its_input_and_its_exit_status_counts(tmp_path: Path):
    script = tmp_path / "tell it.py"
    script.write_text(
        "import sys; from pathlib import Path; event = sys.stdin.read()\n"
        f"Path({str(tmp_path / 'got')!r}).write_text(event); sys.exit(event == 'bad')"
    )
    send, receiver = by_command(f"{sys.executable} '{script}'")
    send(b"good")
    assert ((tmp_path / "got").read_text(), receiver) == ("good", sys.executable)
    with pytest.raises(UndeliveredError, match="ends with exit status 1"):
        send(b"bad")


@pytest.mark.parametrize("command", ["", "no-such-program x", "'unclosed"])
def test_a_command_that_cannot_be_run_is_refused(command: str):
    with pytest.raises(InputError, match="--command"):
        by_command(command)
