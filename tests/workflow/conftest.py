"""A finished run to look at, and copies of it to break."""

import shutil
from pathlib import Path

import pytest
from runs import TABLE, snakemake, write_config


@pytest.fixture(scope="session")
def finished(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run; read-only by agreement."""
    folder = tmp_path_factory.mktemp("run")
    write_config(folder, small_dataset)
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))
