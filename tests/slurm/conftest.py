"""One SLURM for all tests of this folder."""

from collections.abc import Iterator

import local_slurm
import pytest


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """A running SLURM with partitions cpu and gpu; the tests are skipped where it cannot be had."""
    reason = local_slurm.install()
    if reason:
        pytest.skip(reason)
    try:
        local_slurm.start()
        yield
    finally:
        local_slurm.stop()
