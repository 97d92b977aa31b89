"""Defective parts told to another program: a queue on the disk, which verdicts never wait for."""

import contextlib
import json
import os
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from defectbench.deployment.receivers import UndeliveredError
from defectbench.score_table import Row

EVENTS = "events"
MOST_WAITING = 10_000
"""Events that wait at most; of further ones the rows alone tell."""

PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds between tries, the last one again and again."""

CLOSING_SECONDS = 20.0
"""At the end, how long what waits may take to be delivered; the rest stays on the disk."""

UNCONFIRMED = ".unconfirmed"
"""Suffix of an event whose row is not yet on the disk."""


class EventQueue:
    """Events in the order of their rows, each kept as a file until it is delivered.

    A receiver that is killed after it got an event, before it said so, gets it again: events have
    an ``id`` of their own.

    Parameters
    ----------
    output
        Folder of the tables; the queue is a folder in it.
    send
        Delivers the bytes of one event or raises `UndeliveredError`.
    receiver
        What it is called in messages.
    known
        Content (SHA-256) by path, of the last rows. Of an event that a killed run was about to
        queue it says whether its row was written: else its image will be scored again.
    most
        Events that may wait.
    """

    def __init__(
        self,
        output: Path,
        send: Callable[[bytes], None],
        receiver: str,
        known: Mapping[str, str],
        most: int = MOST_WAITING,
    ) -> None:
        self.folder, self.receiver = output / EVENTS, receiver
        self._send, self._most = send, most
        self.left_out = 0  # since the queue was full
        self._settle(known)
        self._waiting = deque(sorted(self.folder.glob("[0-9]" * 12 + ".json")))
        self._next = int(self._waiting[-1].stem) + 1 if self._waiting else 1
        self._news, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._deliver, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def announced(self, row: Row, detector: str) -> Iterator[None]:
        """Queue the event of a row that is written within the block.

        The event is on the disk before the row and is sent after it: a kill at any moment leaves
        both or neither.

        Parameters
        ----------
        row
            Of the table.
        detector
            SHA-256 of the detector.
        """
        if self.waiting >= self._most:
            self._leave_out()
            yield
            return
        self._tell_left_out()
        file = self.folder / f"{self._next:012}.json"
        unconfirmed = file.with_suffix(UNCONFIRMED)
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(unconfirmed, "w", encoding="utf-8") as stream:
            json.dump(event_of(row, detector), stream, ensure_ascii=False)
            stream.flush()
            os.fsync(stream.fileno())
        yield
        unconfirmed.replace(file)
        self._next += 1
        self._waiting.append(file)
        self._news.set()

    def close(self) -> None:
        """Deliver what waits, as far as the receiver takes it at once; say what is left."""
        self._closing.set()
        self._news.set()
        self._thread.join(CLOSING_SECONDS)
        self._tell_left_out()
        if waiting := self.waiting:
            self._say(f"{waiting} wait in {self.folder}; the next run with this output sends them")

    def _settle(self, known: Mapping[str, str]) -> None:
        """Queue what a killed run was about to, if its row is there."""
        for unconfirmed in self.folder.glob(f"*{UNCONFIRMED}"):
            try:
                event = json.loads(unconfirmed.read_text(encoding="utf-8"))
                is_scored = known.get(event["path"]) == event["sha256"]
            except (ValueError, KeyError):  # half of one
                is_scored = False
            if is_scored:
                unconfirmed.replace(unconfirmed.with_suffix(".json"))
            else:
                unconfirmed.unlink()

    def _leave_out(self) -> None:
        self.left_out += 1
        if self.left_out == 1:
            self._say(
                f"{self._most} wait, as many as are kept: of further ones {self.receiver} is not "
                "told; their rows are in the table"
            )

    def _tell_left_out(self) -> None:
        if self.left_out:
            self._say(f"{self.receiver} was not told of {self.left_out}: too many waited")
            self.left_out = 0

    def _deliver(self) -> None:
        """Send one event after the other; after a failure the same one again."""
        failures = 0
        while True:
            if not self._waiting:
                if self._closing.is_set():
                    return
                self._news.wait()
                self._news.clear()
                continue
            file = self._waiting[0]
            try:
                self._send(file.read_bytes())
            except FileNotFoundError:  # somebody has removed it
                pass
            except UndeliveredError as error:
                if failures == 0:
                    self._say(f"{self.receiver} {error}; they wait in {self.folder}")
                if self._closing.is_set():
                    return
                self._closing.wait(PAUSES[min(failures, len(PAUSES) - 1)])  # then a last try
                failures += 1
                continue
            file.unlink(missing_ok=True)
            self._waiting.popleft()
            if failures:
                self._say(f"{self.receiver} takes them again")
                failures = 0

    @staticmethod
    def _say(text: str) -> None:
        print(f"events: {text}", file=sys.stderr, flush=True)


def event_of(row: Row, detector: str) -> Mapping[str, object]:
    """What a receiver is told of a row."""
    return {
        "id": uuid.uuid4().hex,
        "path": row["path"],
        "score": float(row["score"]),
        "threshold": float(row["threshold"]),
        "verdict": row["verdict"],
        "detector_sha256": detector,
        "time": row["time"],
        "sha256": row["sha256"],
    }
