"""Two extractions never share a GPU by accident."""

import subprocess
import sys
from pathlib import Path

import pytest

from defectbench.features.gpus import claimed_gpu

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def claiming_process(locks: Path) -> subprocess.Popen[str]:
    """Another process that claims one of two GPUs, says which, and keeps it."""
    code = (
        "import sys, pathlib; from defectbench.features.gpus import claimed_gpu\n"
        f"with claimed_gpu(['a', 'b'], pathlib.Path({str(locks)!r})) as index:\n"
        "    print(index, flush=True); sys.stdin.read()"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", code], cwd=SCRIPTS, text=True, **pipes)


def test_each_process_has_a_gpu_of_its_own_and_a_third_waits(tmp_path: Path):
    first, second = claiming_process(tmp_path), claiming_process(tmp_path)
    assert {first.stdout.readline(), second.stdout.readline()} == {"0\n", "1\n"}
    third = claiming_process(tmp_path)
    assert "waiting" in third.stderr.readline()
    second.kill()  # a killed process gives its GPU back
    assert third.stdout.readline() in ("0\n", "1\n")
    first.kill()
    third.kill()
    for process in (first, second, third):
        process.communicate()


def test_a_gpu_is_free_again_after_use(tmp_path: Path):
    for _ in range(2):
        with claimed_gpu(["a"], tmp_path) as index:
            assert index == 0


def test_a_schedulers_choice_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with claimed_gpu(["a"], tmp_path) as first, claimed_gpu(["a"], tmp_path) as second:
        assert (first, second) == (0, 0)
    assert list(tmp_path.iterdir()) == []
