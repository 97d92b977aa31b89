"""Parts under a watcher that is killed, told to a receiver that is down for a while.

`FILES=1000 SECONDS_DOWN=60` in the environment makes it a night shift.
"""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from made_detectors import new_image, write_detector
from PIL import Image
from runs import ROOT

from defectbench.score_table import read_rows

SCRIPT = ROOT / "workflow" / "scripts" / "score_folder.py"
FILES = int(os.environ.get("FILES", "200"))
SECONDS_DOWN = float(os.environ.get("SECONDS_DOWN", "5"))
DEADLINE = 300


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    write_detector(folder)
    return folder / "detector.onnx"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.is_down:
            self.server.got.append(json.loads(body))
        self.send_response(503 if self.server.is_down else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.got, server.is_down = [], False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Line:
    """Parts that arrive as they do: in pieces, under a name of their own, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.random = folder, random.Random(42)
        self.pixels = np.random.default_rng(42)

    def image(self) -> bytes:
        stream = io.BytesIO()
        picture = new_image(self.pixels, self.random.random() < 0.3)
        Image.fromarray(picture).save(stream, "PNG")
        return stream.getvalue()

    def place(self) -> Path:
        folder = self.folder / self.random.choice(["", "shift 1", "shift 2/camera"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.random.randrange(10**9)}.png"

    def write_slowly(self, file: Path) -> None:
        content = self.image()
        with open(file, "wb") as stream:
            if self.random.random() < 0.3:
                stream.truncate(len(content))  # room is reserved first, as over SMB
            for start in range(0, len(content), 1 + len(content) // 3):
                stream.write(content[start : start + 1 + len(content) // 3])
                stream.flush()
                time.sleep(self.random.choice([0, 0.01, 0.01, 0.1]))

    def run(self) -> None:
        files: list[Path] = []
        while len(files) < FILES:
            action = self.random.random()
            if files and action < 0.2:
                self.write_slowly(self.random.choice(files))  # the name is used again
            elif files and action < 0.35:
                old, new = self.random.choice(files), self.place()
                old.rename(new)
                files[files.index(old)] = new
            elif action < 0.5:
                file = self.place()
                self.write_slowly(file.with_suffix(".part"))
                file.with_suffix(".part").rename(file)
                files.append(file)
            else:
                files.append(self.place())
                self.write_slowly(files[-1])

    def states(self) -> set[tuple[str, str]]:
        files = (file for file in self.folder.rglob("*.png"))
        return {
            (
                file.relative_to(self.folder).as_posix(),
                hashlib.sha256(file.read_bytes()).hexdigest(),
            )
            for file in files
        }


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.2)


def test_each_final_state_is_scored_once_and_each_defect_told_in_order(
    detector: Path, receiver: ThreadingHTTPServer, tmp_path: Path
):
    line, output = Line(tmp_path / "new"), tmp_path / "out"
    line.folder.mkdir()
    command = [sys.executable, SCRIPT, detector, line.folder, "--output", output, "--watch"]
    command += ["--threads", "1", "--give-up", "5"]
    command += ["--on-defective", f"http://127.0.0.1:{receiver.server_port}/"]
    writer = threading.Thread(target=line.run)
    watcher = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    try:
        writer.start()
        for rows in (FILES // 5, FILES // 2):
            wait_for(lambda rows=rows: sum(1 for _ in read_rows(output)) >= rows)
            receiver.is_down = True
            watcher.kill()
            watcher.wait()
            watcher = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
        time.sleep(SECONDS_DOWN)
        receiver.is_down = False
        writer.join(DEADLINE)
        final = line.states()
        wait_for(lambda: final <= {(row["path"], row["sha256"]) for row in read_rows(output)})
        wait_for(lambda: not any((output / "events").iterdir()))
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(DEADLINE) == 0
    finally:
        watcher.kill()
    rows = list(read_rows(output))
    counts = Counter((row["path"], row["sha256"]) for row in rows)
    assert {state: counts[state] for state in final} == dict.fromkeys(final, 1)
    told = {event["id"]: (event["path"], event["sha256"]) for event in receiver.got}
    defective = [(row["path"], row["sha256"]) for row in rows if row["verdict"] == "defective"]
    assert list(told.values()) == defective
    print(f"{len(final)} final states, {len(rows)} rows, {len(defective)} events")
