"""A real web server on this machine, with the faults that a test asks for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves one file with the faults a test asks for.

    Attributes
    ----------
    cuts
        How many of the next transfers break off after a third of what was asked for.
    errors
        How many of the next requests are answered with 503.
    stalls
        How many of the next transfers send nothing more after a third, until the server closes.
    ranges
        Whether a part of the file can be asked for.
    tag
        ETag of the file; none where it is empty.
    conditional
        Whether a part is sent of the version alone that is asked for.
    shift
        How many bytes too late a part begins.
    answers
        Status, headers and body with which it answers at some paths, whatever is asked for.
    starts
        First byte of every transfer so far.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cuts, self.errors, self.stalls = content, 0, 0, 0
        self.ranges, self.starts, self.closing = True, [], threading.Event()
        self.tag, self.conditional, self.shift = '"1"', True, 0
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    def url(self, path: str = "/bottle.tar.xz") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.content
        if self.path in self.server.answers:
            status, headers, body = self.server.answers[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.server.errors:
            self.server.errors -= 1
            self.send_error(503)
            return
        wanted = self.headers.get("Range")
        is_same = not self.server.conditional or self.headers.get("If-Range") == self.server.tag
        start = int(wanted[6:-1]) if wanted and self.server.ranges and is_same else 0
        start += self.server.shift if start else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.server.starts.append(start)
        body = content[start:] if self.path != "/wrong" else b"x" * len(content)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        if start:
            last, size = len(content) - 1, len(content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
        self.end_headers()
        if self.server.stalls:
            self.server.stalls -= 1
            self.wfile.write(body[: len(body) // 3])
            self.server.closing.wait()
            return
        if self.server.cuts:
            self.server.cuts -= 1
            body = body[: len(body) // 3]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server of this content that answers while the block runs."""
    with Server(content) as running:
        # it looks every so many seconds whether it is to end
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield running
        finally:
            running.closing.set()
            running.shutdown()
