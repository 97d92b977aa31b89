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
        (OSError(errno.ENOENT, "No such file or directory", "a\nb"), 2, r"error: a\x0ab: No such"),
        (OSError(errno.EMFILE, "Too many open files"), 2, "error: too many open files; allow more"),
        (RuntimeError("can't start new thread"), 2, "error: out of memory (can't start new thr"),
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


SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
TALKATIVE = r"""
import sys
from pathlib import Path
from defectbench.errors import exit_status

def main():
    for k in range(9999):
        print('gr\xfcn \u2013 \udcfc')
        print('a message', file=sys.stderr) if k < 9 else None
    with open('done', 'w') as file:
        file.write(f'{file.fileno() > 2}')
    return 3

sys.exit(exit_status(main))
"""


@pytest.fixture
def talkative(tmp_path: Path) -> dict:
    """Command that prints much, writes a file at its end and has the exit status 3."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS), "PYTHONIOENCODING": "ascii"}
    return {"args": [sys.executable, "-c", TALKATIVE], "cwd": tmp_path, "env": environment}


def test_a_terminal_without_letters_and_one_that_goes_away_end_no_command(
    talkative: dict, tmp_path: Path
):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(**talkative, **pipes) as process:
        assert process.stdout.readline() == rb"gr\xfcn \u2013 \udcfc" + b"\n"
        process.stdout.close()
        assert process.stderr.read() == 9 * b"a message\n"
        assert process.wait() == 3
    assert (tmp_path / "done").exists()


def test_a_terminal_that_is_gone_ends_no_command(talkative: dict, tmp_path: Path):
    here, terminal = os.openpty()
    os.close(here)
    with open(terminal, "wb") as gone:
        assert subprocess.run(**talkative, stdout=gone, stderr=gone).returncode == 3
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_command_works_where_its_streams_are_closed_and_no_file_takes_their_place(
    talkative: dict, tmp_path: Path, closed: tuple[int, ...]
):
    def close() -> None:
        for number in closed:
            os.close(number)

    run = subprocess.run(**talkative, capture_output=True, preexec_fn=close)
    assert (run.returncode, (tmp_path / "done").read_text()) == (3, "True")
    assert run.stderr == (b"" if 2 in closed else 9 * b"a message\n")


def test_a_full_disk_is_told_of_the_standard_output_and_a_full_one_of_messages_ends_nothing(
    talkative: dict, tmp_path: Path
):
    with open("/dev/full", "w") as full:
        run = subprocess.run(**talkative, stdout=full, stderr=subprocess.PIPE, text=True)
        assert run.returncode == 2
        told = run.stderr.splitlines()[-1]
        assert told.startswith("error: standard output: no space left on the disk; mend that")
        run = subprocess.run(**talkative, stdout=subprocess.DEVNULL, stderr=full)
    assert run.returncode == 3


def test_a_folder_that_is_not_there_any_more_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "gone").mkdir()
    script = f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && {sys.executable} {SCRIPTS}"
    command = f"{script}/check_datasets.py"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == (
        "error: the current folder is not there any more; change into one that is\n"
    )


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
