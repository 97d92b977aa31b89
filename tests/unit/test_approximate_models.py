"""A model or folds that are otherwise than method and config say are named as what they are."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_results import made_metrics
from specifications import specification

from defectbench.evaluation.cautions import INEXACT
from defectbench.evaluation.held_out import how_held_out
from defectbench.images.index import IndexRow, write_index
from defectbench.records import (
    read_metrics,
    write_held_out,
    write_scores,
    write_specified,
)
from defectbench.reports.flags import cautions
from defectbench.scorers import scorer_class
from defectbench.storage import write_json

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "metrics.py"


def metrics(folder: Path, method: str = "fre", **settings: Any) -> dict:
    """What rule `metrics` writes of a model with these settings, and enough images."""
    rows = [
        IndexRow(f"{number}.png", "test", number % 2, "dent", "", 9, 9, "L", "0", "")
        for number in range(100)
    ]
    drawn = np.random.default_rng(42).normal(size=100)
    names = {"dataset": "parts", "category": "plate", "method": method, "backbone": "resnet18"}
    inputs = ("index", "model", "scores", "held_out", "calibration", "without_decisive")
    files = {name: str(folder / name) for name in inputs}
    write_json(files["without_decisive"], None)
    write_specified(files["model"], {}, specification(**settings))
    write_scores(files["scores"], rows, drawn)
    write_index(files["index"], rows)
    write_held_out(files["held_out"], rows, np.arange(100)[:, None], drawn)
    write_held_out(files["calibration"], [], [], drawn[:0])
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


def test_of_an_exact_model_nothing_is_said(tmp_path: Path):
    assert metrics(tmp_path, analysis="exact")["cautions"] == []


@pytest.mark.parametrize("analysis", list(INEXACT))
def test_metrics_say_how_the_model_was_computed(analysis: str, tmp_path: Path):
    found = metrics(tmp_path, analysis=analysis)
    assert found["specification"]["analysis"] == analysis
    assert found["cautions"] == [INEXACT[analysis].format("fre resnet18", "")]


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


def fold_of_each(n_folds: int) -> np.ndarray:
    return np.arange(100) % n_folds


@pytest.mark.parametrize(
    ("scorer", "n_folds", "found"),
    [
        ("kernel_pca_fre", 100, "each"),
        ("pca_fre", 100, "rough"),
        ("pca_fre", 20, "many"),
        ("pca_fre", 19, "folds"),
        ("patchcore", 10, "many"),
        ("patchcore", 9, "folds"),
        ("tied_autoencoder", 5, "folds"),
        ("pca_gaussian", 100, "rough"),
        ("pca_gaussian", 19, "folds"),
    ],
)
def test_how_scores_were_held_out_follows_from_the_number_of_folds(
    scorer: str, n_folds: int, found: str
):
    assert how_held_out(scorer, fold_of_each(n_folds), [""] * 100) == found


def test_one_group_at_a_time_is_each_by_itself_however_few_there_are():
    groups = [f"part {number % 4}" for number in range(100)]
    assert how_held_out("kernel_pca_fre", fold_of_each(4), groups) == "each"
    assert how_held_out("tied_autoencoder", fold_of_each(4), groups) == "many"
    assert how_held_out("pca_fre", fold_of_each(5), ["one part"] * 100) == "folds"


@pytest.mark.parametrize(
    ("scorer", "images", "found"),
    [("padim", 39, "many"), ("padim", 40, "each"), ("mahalanobis", 39, "each")],
)
def test_a_detector_of_few_maps_misses_each_that_is_held_out(scorer: str, images: int, found: str):
    assert how_held_out(scorer, np.arange(images), [""] * images) == found


@pytest.mark.parametrize("name", ["autoencoder", "tied_autoencoder"])
def test_what_is_trained_by_gradient_takes_five_folds(name: str):
    assert scorer_class(name).most_folds == 5
