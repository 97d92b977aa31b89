"""A model that is approximate, since an exact one did not fit in memory, is named as such."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_results import made_metrics
from specifications import specification

from defectbench.images.index import IndexRow
from defectbench.records import read_metrics, write_held_out, write_scores, write_specified
from defectbench.reports.flags import cautions

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "metrics.py"


def metrics(folder: Path, analysis: str) -> dict:
    """What rule `metrics` writes of a model with this analysis, and enough images."""
    rows = [
        IndexRow(f"{number}.png", "test", number % 2, "dent", "", 9, 9, "L", "0", "")
        for number in range(100)
    ]
    drawn = np.random.default_rng(42).normal(size=100)
    names = {"dataset": "parts", "category": "plate", "method": "fre", "backbone": "resnet18"}
    files = {name: str(folder / name) for name in ("model", "scores", "held_out")}
    write_specified(files["model"], {}, specification(analysis=analysis))
    write_scores(files["scores"], rows, drawn)
    write_held_out(files["held_out"], rows, np.arange(100)[:, None], drawn)
    job = SimpleNamespace(
        input=SimpleNamespace(**files),
        output=SimpleNamespace(
            metrics=str(folder / "metrics.json"), replicates=str(folder / "replicates.h5")
        ),
        params=SimpleNamespace(
            seed=42, false_positive_rate=0.05, rule="average", code={"code": "0"}
        ),
        wildcards=names,
        log=[str(folder / "job.log")],
    )
    runpy.run_path(str(SCRIPT), init_globals={"snakemake": job})
    return read_metrics(folder / "metrics.json")


@pytest.mark.parametrize("analysis", ["exact", "randomised"])
def test_metrics_say_how_the_components_were_found(analysis: str, tmp_path: Path):
    found = metrics(tmp_path, analysis)
    assert found["specification"]["analysis"] == analysis
    assert any("randomised" in text for text in found["cautions"]) == (analysis == "randomised")


def test_the_report_names_the_categories_and_the_detector(tmp_path: Path):
    (text,) = metrics(tmp_path, "randomised")["cautions"]
    assert text == (
        "the principal components of fre resnet18 are approximate, of a randomised analysis: an "
        "exact one did not fit in the memory"
    )
    entries = [
        made_metrics(category, "fre", 0.9, cautions=[text]) for category in ("plate", "ring")
    ]
    assert cautions(entries) == {text: ["plate", "ring"]}
