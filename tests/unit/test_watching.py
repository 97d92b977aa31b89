"""Which files of a folder that fills are read, when, and what becomes of their verdicts."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hostile_detectors as hostile
import pytest
from bare import bare_python
from made_detectors import write_images
from PIL import Image
from runs import DEADLINE

from defectbench.deployment import watching
from defectbench.deployment.detector import Detector
from defectbench.deployment.folder import FolderScoring, Options
from defectbench.deployment.reading import Read
from defectbench.deployment.watching import SETTLED_SECONDS, Arrivals
from defectbench.errors import InputError
from defectbench.score_table import Row, read_rows

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "score_folder.py"
PART = Path("part.png")
BROKEN = InputError("part.png: cannot be decoded")


def read(state: tuple[int, int, int] | None, error: InputError | None = None) -> Read:
    return Read(PART, state, "", error)


# when a file is read


def test_a_file_is_read_once_it_has_not_changed_for_a_second():
    arrivals = Arrivals()
    assert arrivals.ready({PART: (1, 1, 1)}, 0) == []
    assert arrivals.ready({PART: (2, 1, 1)}, 1) == []  # it has grown
    assert arrivals.ready({PART: (2, 9, 9)}, 2) == []  # it was written
    assert arrivals.ready({PART: (2, 9, 9)}, 2 + SETTLED_SECONDS) == [PART]
    assert arrivals.is_done(read((2, 9, 9)))
    assert arrivals.ready({PART: (2, 9, 9)}, 1000) == []


def test_a_file_that_is_written_over_is_read_again():
    arrivals = Arrivals()
    arrivals.ready({PART: (1, 1, 1)}, 0)
    arrivals.ready({PART: (1, 1, 1)}, 5)
    assert arrivals.is_done(read((1, 1, 1)))
    assert arrivals.ready({PART: (1, 1, 2)}, 6) == []
    assert arrivals.ready({PART: (1, 1, 2)}, 8) == [PART]


def test_what_is_read_while_it_is_written_does_not_stand():
    arrivals = Arrivals()
    arrivals.ready({PART: (1, 1, 1)}, 0)
    assert arrivals.ready({PART: (1, 1, 1)}, 2) == [PART]
    assert not arrivals.is_done(read((2, 2, 2)))
    assert not arrivals.is_done(read(None, BROKEN))  # it has gone, or its share has
    arrivals.ready({PART: (2, 2, 2)}, 3)
    assert arrivals.ready({PART: (2, 2, 2)}, 5) == [PART]


def test_an_unreadable_file_is_tried_again_when_it_changes_and_given_up_when_it_does_not():
    arrivals = Arrivals(give_up=60)
    arrivals.ready({PART: (1, 1, 1)}, 0)
    arrivals.ready({PART: (1, 1, 1)}, 2)
    assert not arrivals.is_done(read((1, 1, 1), BROKEN))
    assert arrivals.ready({PART: (1, 1, 1)}, 59) == []
    arrivals.ready({PART: (1, 2, 2)}, 59.5)
    assert arrivals.ready({PART: (1, 2, 2)}, 61) == [PART]
    assert not arrivals.is_done(read((1, 2, 2), BROKEN))
    assert arrivals.ready({PART: (1, 2, 2)}, 119) == []
    assert arrivals.ready({PART: (1, 2, 2)}, 119.5) == [PART]  # a minute after its last change
    assert arrivals.is_done(read((1, 2, 2), BROKEN))
    assert arrivals.ready({PART: (1, 2, 2)}, 1000) == []


def test_a_file_that_has_gone_and_come_back_is_read_again():
    arrivals = Arrivals()
    arrivals.ready({PART: (1, 1, 1)}, 0)
    arrivals.ready({PART: (1, 1, 1)}, 2)
    assert arrivals.is_done(read((1, 1, 1)))
    arrivals.ready({}, 3)
    assert arrivals.ready({PART: (1, 1, 1)}, 4) == []
    assert arrivals.ready({PART: (1, 1, 1)}, 6) == [PART]


# the folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files settle in a fraction of a second."""
    monkeypatch.setattr(watching, "SETTLED_SECONDS", 0.1)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.03)


def new_scoring(made: dict, folder: Path) -> FolderScoring:
    (folder / "new").mkdir(exist_ok=True)
    options = Options(folder / "new", folder / "out", 1, skip_scored=True)
    return FolderScoring(Detector(made["path"], 1), options)


@contextmanager
def followed(scoring: FolderScoring, give_up: float = 60) -> Iterator[list[Row]]:
    """Verdicts on what comes while the block runs."""
    verdicts: list[Row] = []
    arguments = scoring, Arrivals(give_up), verdicts.append
    thread = threading.Thread(target=watching.watch, args=arguments)
    thread.start()
    try:
        yield verdicts
    finally:
        scoring.stopped = True
        thread.join(DEADLINE)


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def told(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["path"], row["verdict"]) for row in rows]


def test_slow_overwritten_renamed_and_broken_files_each_get_their_rows(
    made: dict, tmp_path: Path, quick: None
):
    good, bad = (path.read_bytes() for path in write_images(tmp_path / "made", 5, 1, 1))
    scoring, new = new_scoring(made, tmp_path), tmp_path / "new"
    with followed(scoring, give_up=0.6) as verdicts:
        (new / "slow.png").write_bytes(bad[: len(bad) // 2])
        (new / "shift").mkdir()
        (new / "shift" / "a.png").write_bytes(good)
        wait_for(lambda: told(verdicts) == [("shift/a.png", "good")])
        assert list(read_rows(tmp_path / "out")) == verdicts  # on the disk before it is said
        (new / "slow.png").write_bytes(bad)
        wait_for(lambda: told(verdicts)[1:] == [("slow.png", "defective")])
        (new / "shift" / "a.png").write_bytes(bad)  # the name is used again
        wait_for(lambda: told(verdicts)[2:] == [("shift/a.png", "defective")])
        os.utime(new / "shift" / "a.png")  # the content is the same
        (new / "slow.png").rename(new / "renamed.png")
        wait_for(lambda: told(verdicts)[3:] == [("renamed.png", "defective")])
        (new / "broken.png").write_bytes(b"no image")
        wait_for(lambda: told(verdicts)[4:] == [("broken.png", "unreadable")])
    assert list(read_rows(tmp_path / "out")) == verdicts
    assert verdicts[-1]["score"] == ""


def test_an_image_at_which_the_detector_crashes_is_given_up_and_the_others_are_scored(
    made: dict, tmp_path: Path, quick: None
):
    graph = hostile.crashing_on_white(hostile.SECRET)
    detector, new = tmp_path / "crashing.onnx", tmp_path / "new"
    detector.write_bytes(hostile.detector(made["metadata"], graph))
    scoring = new_scoring({"path": detector}, tmp_path)
    (good,) = write_images(tmp_path / "made", 5, 1)
    with followed(scoring, give_up=0.6) as verdicts:
        Image.new("RGB", (24, 24), "white").save(new / "white.png")
        shutil.copy(good, new / "first.png")
        wait_for(lambda: len(verdicts) == 2)
        shutil.copy(good, new / "later.png")
        wait_for(lambda: len(verdicts) == 3)
    seen = [("first.png", "defective"), ("white.png", "unreadable"), ("later.png", "defective")]
    assert told(verdicts) == seen
    assert "its process has ended (Floating point" in scoring.found.unreadable["white.png"]


def test_what_is_no_file_is_given_up_and_holds_nothing_up(made: dict, tmp_path: Path, quick: None):
    scoring, new = new_scoring(made, tmp_path), tmp_path / "new"
    os.mkfifo(new / "0.png")
    write_images(tmp_path / "new", 5, 1)
    with followed(scoring, give_up=0.6) as verdicts:
        wait_for(lambda: len(verdicts) == 2)
    assert told(verdicts) == [("0000.png", "good"), ("0.png", "unreadable")]


def test_a_folder_may_go_and_come_back(
    made: dict, tmp_path: Path, quick: None, capsys: pytest.CaptureFixture
):
    write_images(tmp_path / "new", 5, 2)
    with followed(new_scoring(made, tmp_path)) as verdicts:
        wait_for(lambda: len(verdicts) == 2)
        (tmp_path / "new").rename(tmp_path / "away")
        said = []
        wait_for(lambda: bool(said.append(capsys.readouterr().err)) or "waiting" in "".join(said))
        shutil.copy(tmp_path / "away" / "0000.png", tmp_path / "away" / "late.png")
        (tmp_path / "away").rename(tmp_path / "new")
        wait_for(lambda: len(verdicts) == 3)
    assert told(verdicts) == [(name, "good") for name in ("0000.png", "0001.png", "late.png")]
    assert f"{tmp_path / 'new'} is there again" in capsys.readouterr().err


def test_after_a_restart_new_names_are_read_before_known_ones(
    made: dict, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
):
    write_images(tmp_path / "new", 5, 3)
    scoring = new_scoring(made, tmp_path)
    scoring.score(scoring.images()[:2])
    scoring, read = new_scoring(made, tmp_path), []
    is_done = Arrivals.is_done
    monkeypatch.setattr(
        Arrivals, "is_done", lambda self, each: read.append(each.path.name) or is_done(self, each)
    )
    with followed(scoring):
        wait_for(lambda: len(read) == 3)
    assert read == ["0002.png", "0000.png", "0001.png"]


def test_a_watcher_watches_on_though_nobody_listens(made: dict, tmp_path: Path):
    write_images(tmp_path / "new", 5, 2)
    options = ["--output", str(tmp_path / "out"), "--threads", "1", "--watch"]
    command = bare_python(SCRIPT, made["path"], tmp_path / "new", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watcher:
        hangs = threading.Timer(DEADLINE, watcher.kill)
        hangs.start()
        watcher.stdout.readline()
        watcher.stdout.close()
        shutil.copy(tmp_path / "new" / "0000.png", tmp_path / "new" / "late.png")
        wait_for(lambda: len([*read_rows(tmp_path / "out")]) == 3)
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait() == 0
        hangs.cancel()


def test_a_watcher_that_is_killed_goes_on_and_one_that_is_stopped_sums_up(
    made: dict, tmp_path: Path
):
    write_images(tmp_path / "new", 5, 3)
    (tmp_path / "new" / "0001.png").rename(tmp_path / "new" / "größe.png")
    options = ["--output", str(tmp_path / "out"), "--threads", "1", "--watch"]
    command = bare_python(SCRIPT, made["path"], tmp_path / "new", *options)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for end, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        # of a terminal that cannot show all names
        ascii_alone = os.environ | {"PYTHONIOENCODING": "ascii"}
        with subprocess.Popen(command, text=True, env=ascii_alone, **pipes) as watcher:
            hangs = threading.Timer(DEADLINE, watcher.kill)
            hangs.start()
            first = watcher.stdout.readline()
            watcher.send_signal(end)
            said = first + watcher.stdout.read()
            assert watcher.wait() == status
            hangs.cancel()
        shutil.copy(tmp_path / "new" / "0000.png", tmp_path / "new" / "late.png")
    assert re.fullmatch(r"\S+ good \S+\.png: score \S+, threshold \S+\n", first)
    assert re.search(r"^\d images in", said, re.MULTILINE)
    paths = [row["path"] for row in read_rows(tmp_path / "out")]
    assert sorted(paths) == ["0000.png", "0002.png", "größe.png", "late.png"]
