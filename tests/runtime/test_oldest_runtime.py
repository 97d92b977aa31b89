"""Detectors of every kind in a plain environment with the oldest runtime that is promised."""

import csv
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_detectors import write_detector

from defectbench.deployment.graphs import GRAPHS

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    "pca_kde": {"components": 4},
    "padim": {"channels": 5, "map_size": 16},
    "patchcore": {"map_size": 16},
}


def plain(*command: object) -> subprocess.CompletedProcess[str]:
    """A command of the environment that `PLAIN` names."""
    python = os.environ.get("PLAIN")
    if not python:
        pytest.skip("PLAIN names no Python: make test-runtime makes one")
    command = [python, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_environment_holds_the_oldest_runtime_and_nothing_of_the_workflow():
    code = (
        "import onnxruntime; from importlib.util import find_spec; "
        "print(onnxruntime.__version__, find_spec('onnx'), find_spec('torch'))"
    )
    assert plain("-c", code).stdout.split() == ["1.17.3", "None", "None"]


def transformer():
    from timm.models import VisionTransformer

    return VisionTransformer(img_size=24, patch_size=8, depth=2, num_heads=2, embed_dim=16)


@pytest.mark.parametrize("name", [*GRAPHS, "transformer"])
def test_a_detector_of_every_kind_proves_itself_and_scores_as_its_scorer(name: str, tmp_path: Path):
    if name == "transformer":
        made = write_detector(tmp_path, transformer, "blocks.1")
    else:
        made = write_detector(tmp_path, scorer=name, parameters=PARAMETERS.get(name))
    images, scores = made["files"][0].parent, tmp_path / "scores"
    script = "workflow/scripts/score_folder.py"
    run = plain(script, tmp_path / "detector.onnx", images, "--output", scores)
    assert run.returncode == 0, run.stderr
    with open(scores / "scores.csv", encoding="utf-8") as stream:
        found = [float(row["score"]) for row in csv.DictReader(stream)]
    np.testing.assert_allclose(found, made["scores"], rtol=1e-4)


def test_a_calibration_needs_no_more(tmp_path: Path):
    made = write_detector(tmp_path)
    good = made["files"][0].parent
    run = plain("workflow/scripts/calibrate.py", tmp_path / "detector.onnx", good, "--yes")
    assert run.returncode == 0, run.stderr
    assert "written; it scores 40 images as detector.onnx does" in run.stdout
