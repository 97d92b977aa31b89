"""Large blocks stay with the process once it has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PROGRAM = """
import resource, sys
import numpy as np
from defectbench.features.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="needs glibc")
def test_freed_blocks_are_not_faulted_in_again():
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    faults = {
        mode: int(subprocess.check_output([sys.executable, "-c", PROGRAM, mode], env=environment))
        for mode in ("keep", "default")
    }
    assert faults["keep"] < faults["default"] / 5
