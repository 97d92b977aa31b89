"""A detector's threshold set anew on good parts of the line, by the script, as its user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_detectors import new_image, write_images
from PIL import Image
from test_deployment_folder import BARE

from defectbench.deployment.detector import Detector, decoded_image
from defectbench.deployment.detector_file import read_detector_file, recalibrated
from defectbench.evaluation.promises import Asked, promise

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "calibrate.py"


def calibrate(detector: Path, good: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The script in a Python without anything but onnxruntime, NumPy and Pillow."""
    script = BARE.replace("score_folder.py", "calibrate.py")
    command = [sys.executable, "-c", script, str(SCRIPT), str(detector), str(good)]
    return subprocess.run(
        [*command, "--threads", "1", *options], capture_output=True, text=True, input=""
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write_images(tmp_path / "good", seed=6, n_good=40)
    return tmp_path / "good"


def scores(detector: Detector, folder: Path) -> np.ndarray:
    images = [decoded_image(path, detector.metadata) for path in sorted(folder.glob("*.png"))]
    return np.array([detector.score(image.pixels[None]).scores[0] for image in images])


def test_a_file_whose_threshold_stays_is_the_same_file(made: dict):
    content, metadata, _ = read_detector_file(made["path"])
    assert recalibrated(content, metadata) == content


def test_the_threshold_is_the_one_that_the_parts_support(made: dict, good: Path, tmp_path: Path):
    output = tmp_path / "new.onnx"
    run = calibrate(made["path"], good, "--output", str(output), "--rate", "0.1")
    assert run.returncode == 0, run.stderr
    old, new = Detector(made["path"], 1), Detector(output, 1)
    found = scores(new, good)
    np.testing.assert_array_equal(found, scores(old, good))
    expected = promise(found, [""] * 40, Asked(0.1))
    threshold = new.metadata["threshold"]
    assert threshold["value"] == expected["threshold"]
    assert threshold["expected_rate"] == expected["expected"]
    assert not threshold["estimate"]
    assert new.metadata["history"][0]["threshold"] == old.metadata["threshold"]
    assert new.metadata["calibration"]["images"] == 40
    pixels = decoded_image(sorted(good.glob("*.png"))[int(found.argmax())], new.metadata).pixels
    assert new.score(pixels[None]).defective.tolist() == [True]  # 3 of 40 reach it
