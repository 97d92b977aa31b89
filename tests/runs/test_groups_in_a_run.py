"""Tiles photographed several times: from the pictures to the warning, and to groups."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import edited_config, planned_jobs, snakemake, write_config

from defectbench.evaluation.promises import Asked, promise
from defectbench.storage import read_json, read_tsv

CELL = "results/parts/tiles/fre_small/efficientnet_lite0"


def make_tiles(folder: Path) -> None:
    """Twelve tiles of four exposures to train, and twenty tiles that are new."""
    rng = np.random.default_rng(42)
    for tile in range(32):
        coarse = Image.fromarray(rng.integers(60, 190, (5, 6), np.uint8))
        texture = np.asarray(coarse.resize((48, 40), Image.Resampling.BICUBIC), float)
        split, exposures = ("train", 4) if tile < 12 else ("test", 1)
        for exposure in range(exposures):
            pixels = texture * rng.uniform(0.97, 1.03) + rng.normal(0, 2, texture.shape)
            file = folder / split / "good" / f"tile{tile:02}_{exposure}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def false_positive_rate(folder: Path) -> float:
    """Share of the new tiles above a threshold that is asked for 5 %."""
    rows = read_tsv(folder / CELL / "held_out_scores.tsv")
    scores = np.array([float(row["anomaly_score"]) for row in rows])
    threshold = promise(scores, [row["group"] for row in rows], Asked(0.05))["threshold"]
    new = [float(row["anomaly_score"]) for row in read_tsv(folder / CELL / "scores.tsv")]
    return float((np.array(new) >= threshold).mean())


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run without groups, and what it said."""
    folder = tmp_path_factory.mktemp("tiles")
    make_tiles(folder / "data" / "tiles")
    write_config(folder, folder / "data")
    run = snakemake(folder, f"{CELL}/scores.tsv")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, run.stdout + run.stderr


def test_a_run_without_groups_warns_and_promises_too_much(warned: tuple[Path, str]):
    folder, said = warned
    check = read_json(folder / CELL / "held_out_check.json")
    assert check["warnings"]
    for warning in check["warnings"]:
        assert f"tiles/fre_small/efficientnet_lite0: {warning}" in said
    assert false_positive_rate(folder) > 0.5


def test_the_named_key_heeds_the_warning_and_extracts_nothing_again(warned: tuple[Path, str]):
    folder, _ = warned
    with edited_config(folder) as config:
        config["datasets"]["parts"]["groups"] = r"tile\d+"
    assert planned_jobs(folder, f"{CELL}/scores.tsv") == {"scores": 1}
    assert snakemake(folder, f"{CELL}/scores.tsv").returncode == 0
    check = read_json(folder / CELL / "held_out_check.json")
    assert (check["groups"], check["warnings"]) == (12, [])
    folds_of_tile: dict[str, set[str]] = {}
    for row in read_tsv(folder / CELL / "held_out_scores.tsv"):
        folds_of_tile.setdefault(row["group"], set()).add(row["fold"])
    assert len(folds_of_tile) == 12
    assert all(len(found) == 1 for found in folds_of_tile.values())
    assert {row["group"] for row in read_tsv(folder / CELL / "scores.tsv")} == {
        f"tile{number}" for number in range(12, 32)
    }
    assert false_positive_rate(folder) <= 0.15
