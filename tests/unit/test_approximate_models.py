"""A model or folds that are otherwise than method and config say are named as what they are."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_results import made_metrics
from specifications import specification

from defectbench.evaluation.cautions import INEXACT, fewer_folds
from defectbench.images.index import IndexRow
from defectbench.records import (
    HeldOutScores,
    read_metrics,
    write_held_out,
    write_scores,
    write_specified,
)
from defectbench.reports.flags import cautions
from defectbench.scorers import scorer_class

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "metrics.py"


def metrics(folder: Path, method: str = "fre", **settings: Any) -> dict:
    """What rule `metrics` writes of a model with these settings, and enough images."""
    rows = [
        IndexRow(f"{number}.png", "test", number % 2, "dent", "", 9, 9, "L", "0", "")
        for number in range(100)
    ]
    drawn = np.random.default_rng(42).normal(size=100)
    names = {"dataset": "parts", "category": "plate", "method": method, "backbone": "resnet18"}
    files = {name: str(folder / name) for name in ("model", "scores", "held_out")}
    write_specified(files["model"], {}, specification(**settings))
    write_scores(files["scores"], rows, drawn)
    write_held_out(files["held_out"], rows, [np.arange(100)], drawn)
    job = SimpleNamespace(
        input=SimpleNamespace(**files),
        output=SimpleNamespace(
            metrics=str(folder / "metrics.json"), replicates=str(folder / "replicates.h5")
        ),
        params=SimpleNamespace(seed=42, false_positive_rate=0.05, code={"code": "0"}),
        wildcards=names,
        log=[str(folder / "job.log")],
    )
    runpy.run_path(str(SCRIPT), init_globals={"snakemake": job})
    return read_metrics(folder / "metrics.json")


def test_of_an_exact_model_nothing_is_said(tmp_path: Path):
    assert metrics(tmp_path, analysis="exact")["cautions"] == []


@pytest.mark.parametrize("analysis", list(INEXACT))
def test_metrics_say_how_the_model_was_computed(analysis: str, tmp_path: Path):
    found = metrics(tmp_path, analysis=analysis)
    assert found["specification"]["analysis"] == analysis
    assert found["cautions"] == [INEXACT[analysis].format("fre resnet18")]


def test_with_several_seeds_a_caution_is_the_same(tmp_path: Path):
    found = metrics(tmp_path, "patchcore@43", analysis="union of selections")
    assert found["cautions"] == [INEXACT["union of selections"].format("patchcore resnet18")]


def test_the_report_names_the_categories_and_the_detector(tmp_path: Path):
    (text,) = metrics(tmp_path, analysis="randomised")["cautions"]
    assert text == (
        "the principal components of fre resnet18 are approximate, of a randomised analysis: an "
        "exact one did not fit in the memory"
    )
    entries = [
        made_metrics(category, "fre", 0.9, cautions=[text]) for category in ("plate", "ring")
    ]
    assert cautions(entries) == {text: ["plate", "ring"]}


@pytest.mark.parametrize("asked", [6, 20, "each", "auto"])
def test_a_detector_that_takes_fewer_folds_than_are_asked_for_says_so(
    asked: int | str, tmp_path: Path
):
    found = metrics(tmp_path, "tied_autoencoder@43", folds=asked, most_folds=5)
    assert found["cautions"] == [
        "the honest threshold of tied_autoencoder resnet18 rests on 5 folds, and `threshold: "
        f"{{folds: {asked}}}` asks for more: this detector is trained anew for every fold, and "
        "takes no more"
    ]


@pytest.mark.parametrize(
    ("asked", "most", "groups"),
    [
        (5, 5, [""] * 100),
        (3, 5, [""] * 100),
        (20, None, [""] * 100),
        ("each", 5, ["a", "b", "c", "d", "e"] * 20),
    ],
)
def test_of_folds_as_asked_for_or_as_there_can_be_nothing_is_said(
    asked: int | str, most: int | None, groups: list[str]
):
    held_out = HeldOutScores([], np.array(groups), np.array([]), np.array([]))
    assert fewer_folds(asked, most, held_out, "any") == []


@pytest.mark.parametrize("name", ["autoencoder", "tied_autoencoder"])
def test_what_is_trained_by_gradient_takes_five_folds(name: str):
    assert scorer_class(name).most_folds == 5
