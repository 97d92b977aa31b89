"""Large blocks stay with the process once it has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from defectbench.features.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
with ThreadPoolExecutor(1) as threads:
    def work(count):
        for _ in range(count):
            (map if sys.argv[2] == "here" else threads.map)(np.ones, [8_000_000]).__next__()

    work(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="needs glibc")
@pytest.mark.parametrize("where", ["here", "in a thread"])
def test_freed_blocks_are_not_faulted_in_again(where: str):
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    faults = {
        mode: int(
            subprocess.check_output([sys.executable, "-c", PROGRAM, mode, where], env=environment)
        )
        for mode in ("keep", "default")
    }
    assert faults["keep"] < faults["default"] / 5
