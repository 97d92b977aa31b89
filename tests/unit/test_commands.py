"""How a command ends: one line of what its user can mend, and an exit status."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from defectbench.errors import InputError, exit_status, in_one_line, job_log

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "reports/a.md")


def raising(error: BaseException):
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("a.yaml: no such key"), 2, "error: a.yaml: no such key"),
        (InputError("gr\udcfcn\x1b.png: odd"), 2, r"error: gr\xfcn\x1b.png: odd"),
        (FULL, 2, "error: reports/a.md: no space left on the disk; once mended, go on"),
        (NotADirectoryError(20, "Not a directory", "x"), 2, "error: x: Not a directory; once mend"),
        (MemoryError("1 GB"), 2, "error: out of memory (1 GB); give it more memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
):
    assert exit_status(raising(error), "once mended, go on") == status
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(line)


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(KeyError):
        exit_status(raising(KeyError("a")))


def test_of_a_copy_the_file_to_be_made_is_named():
    error = OSError(errno.ENOSPC, "No space left on device", "from.pth", None, "to.pth")
    assert in_one_line(error).startswith("to.pth: no space")


def test_a_disk_that_is_full_somewhere_is_named_by_what_was_written_to():
    error = OSError(errno.ENOSPC, "No space left on device")
    assert in_one_line(error, "scores").startswith("scores: no space")


def test_a_terminal_without_letters_and_one_that_goes_away_end_no_command(tmp_path: Path):
    script = tmp_path / "command.py"
    lines = ["from defectbench.errors import exit_status", "import sys", "def main():"]
    lines += [r"    for k in range(9999): print('gr\xfcn \u2013 \udcfc')", "    return 0"]
    script.write_text("\n".join([*lines, "sys.exit(exit_status(main))"]))
    path = str(Path(__file__).parents[2] / "workflow" / "scripts")
    environment = os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        [sys.executable, script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == rb"gr\xfcn \u2013 \udcfc" + b"\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_an_interrupted_job_leaves_no_traceback_in_its_log(tmp_path: Path):
    with pytest.raises(SystemExit), job_log(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert (tmp_path / "job.log").read_text().endswith("job: interrupted\n")


def test_a_scorers_refusal_is_told_with_its_job(tmp_path: Path):
    log = tmp_path / "fre" / "scores.log"
    log.parent.mkdir()
    with pytest.raises(SystemExit), job_log(log, named=True):
        raise InputError("all training features are equal")
    assert "fre/scores: all training features are equal" in log.read_text()
