"""The page as a target of the workflow, on features made elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from runs import planned_jobs, snakemake, write_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose config names one category of features."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [100, 30])
    X = rng.normal(size=(130, 12)) + 0.8 * y[:, None]
    split = np.repeat(["train", "test"], [70, 60])
    (tmp_path / "features").mkdir()
    np.savez(tmp_path / "features" / "plate.npz", X=X, y=y, split=split)
    configure(tmp_path)
    return tmp_path


def configure(folder: Path, **changes: object) -> None:
    given = {"source": "features", "path": str(folder / "features"), "methods": ["fre_small"]}
    write_config(folder, folder, datasets={"parts": given}, **changes)


def test_the_page_is_a_target_and_costs_change_only_it_and_the_decision(folder: Path):
    run = snakemake(folder, "reports/parts.html")
    assert run.returncode == 0, run.stdout + run.stderr
    page = folder / "reports" / "parts.html"
    assert "fre_small on" in page.read_text()
    assert "your costs imply" not in page.read_text()
    assert planned_jobs(folder, "reports/parts.html") == {}
    configure(folder, costs={"escape": 50, "false_alarm": 1, "defective_share": 0.02})
    assert planned_jobs(folder, "reports/parts.html") == {"table": 1, "page": 1}
    run = snakemake(folder, "reports/parts.html")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "The threshold that your costs imply" in page.read_text()
