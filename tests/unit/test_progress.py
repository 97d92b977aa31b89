"""Long work says how far it is, in the log and on a terminal."""

import io
import sys

import pytest

from defectbench.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which a test turns."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_end_is_always_told(capsys: pytest.CaptureFixture[str]):
    progress = Progress(3, "images parts/plate")
    for _ in range(3):
        progress.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("3/3 images, ")
    assert lines[0].endswith("0 s left")


def test_a_terminal_shows_the_log_s_last_line_in_one_place(monkeypatch: pytest.MonkeyPatch):
    log, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(sys, "__stderr__", terminal)
    Progress(2, "images parts/plate").advance(2)
    assert terminal.getvalue() == f"\r\033[Kimages parts/plate: {log.getvalue().strip()}"


def test_nothing_is_told_of_work_of_which_nothing_is_done(
    capsys: pytest.CaptureFixture[str], now: list[float]
):
    progress = Progress(40, "coreset")
    now[0] += 10
    progress.advance(0)
    assert capsys.readouterr().err == ""


def test_time_left_follows_the_rate(capsys: pytest.CaptureFixture[str], now: list[float]):
    progress = Progress(40, "images")
    now[0] += 10
    progress.advance(10)
    assert capsys.readouterr().err == "10/40 images, 1.0 images/s, 30 s left\n"


def test_nothing_is_told_of_nothing_done(capsys: pytest.CaptureFixture[str], now: list[float]):
    progress = Progress(40, "coreset", unit="patches")
    now[0] += 10
    progress.advance(0)
    assert capsys.readouterr().err == ""


def test_work_that_may_be_short_is_told_only_if_it_is_long(
    capsys: pytest.CaptureFixture[str], now: list[float]
):
    Progress(1, "parts/plate", if_long=True).advance(1)
    assert capsys.readouterr().err == ""
    progress = Progress(2, "parts/plate", if_long=True)
    now[0] += 10
    progress.advance(1)
    progress.advance(1)
    assert len(capsys.readouterr().err.splitlines()) == 2
