"""A job that gets too little memory ends in one line, which names it and says what to change."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from defectbench import memory
from defectbench.errors import InputError, job_log
from defectbench.evaluation.pixel_figures import pixel_figures
from defectbench.images.index import IndexRow
from defectbench.storage import write_arrays

ROOT = Path(__file__).parents[2]

ERRORS = [
    MemoryError("Unable to allocate 45.8 MiB for an array with shape (3000, 4000)"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ImportError("_nd_image.so: failed to map segment from shared object"),
]


def log_of(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    log = Path("logs/parts/plate/fre/resnet18/scores.log")
    log.parent.mkdir(parents=True)
    with pytest.raises(SystemExit), job_log(log):
        raise error
    return log.read_text()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:20])
def test_the_line_names_job_and_remedy(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = log_of(error, tmp_path, monkeypatch)
    assert log.startswith("error: parts/plate/fre/resnet18/scores: out of memory")
    assert "give it more memory" in log
    assert "fewer or smaller images" in log
    assert len(log.splitlines()) == 1


def test_a_fault_in_the_program_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = log_of(ImportError("no module named so"), tmp_path, monkeypatch)
    assert log.startswith("Traceback")


READ = """
import resource, sys
from defectbench.errors import is_about_memory
from defectbench.storage import open_h5

pages = int(open("/proc/self/statm").read().split()[0])
# room for the array, none for the chunk that it is read through
limit = pages * resource.getpagesize() + (100 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    with open_h5(sys.argv[1]) as file:
        file["X"][()]
except OSError as error:
    print(is_about_memory(error), error)
"""


def test_a_file_that_memory_is_too_small_for_is_not_called_damaged(tmp_path: Path):
    write_arrays(tmp_path / "a.h5", {"X": np.zeros((1, 1 << 24), np.float32)}, {})
    # in a process of its own: this one may have kept memory that it freed
    command = [sys.executable, "-c", READ, str(tmp_path / "a.h5")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.startswith("True")
    assert "memory" in run.stdout


def test_pixel_figures_beyond_memory_are_refused_before_a_mask_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "memory_limit", lambda: 300_000_000)
    rows = [IndexRow("a", "test", 1, "dent", "there is none.png", 4000, 3000)]
    message = "0.4 GB of memory are needed, 0.3 GB can be had: set the method's `resolution`"
    with pytest.raises(InputError, match=re.escape(message)):
        pixel_figures(
            rows, np.zeros((1, 2, 2)), tmp_path, "original", "squash", None, 42, "plate", tmp_path
        )
