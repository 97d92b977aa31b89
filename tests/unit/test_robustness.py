"""Frozen and reset thresholds on made scores; features of perturbed images."""

from pathlib import Path

import numpy as np
import pytest

from defectbench.features.category import write_features
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass, Tap
from defectbench.provenance import file_sha256
from defectbench.storage import open_h5
from defectbench.studies.frozen import frozen_and_reset
from defectbench.studies.perturbed_features import Perturbation, perturbed_features
from defectbench.studies.results import Settings
from defectbench.studies.verdicts import Judged

SETTINGS = Settings(0.05, "average", 5, 42)
VARIED = {"perturbation": "brightness", "level": -20}
LABELS = np.repeat([0, 1], [40, 20])
PLATE = Judged(LABELS, np.full(60, ""), "plate")


def scores(shift: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.concatenate([rng.normal(0, 1, 40), rng.normal(6, 1, 20)]) + shift


def test_a_shift_of_all_scores_spoils_the_frozen_threshold_and_not_the_ranking():
    clean, shifted = (
        frozen_and_reset(VARIED, PLATE, scores(shift), 2.5, SETTINGS)[0] for shift in (0, 4)
    )
    assert shifted["image_auroc"] == clean["image_auroc"]
    assert clean["false_positive_rate"] < 0.05
    assert shifted["false_positive_rate"] > 0.8
    assert shifted["repeats"][0]["threshold"] == 2.5


def test_a_threshold_set_anew_undoes_a_shift():
    clean, shifted = (
        frozen_and_reset(VARIED, PLATE, scores(shift), 2.5, SETTINGS)[1] for shift in (0, 4)
    )
    for name in ("false_positive_rate", "recall"):
        assert shifted[name] == clean[name]
    assert shifted["recall"] > 0.9
    assert shifted["repeats"][0]["threshold"] == pytest.approx(clean["repeats"][0]["threshold"] + 4)


def test_no_good_image_sets_the_threshold_that_judges_it():
    # two groups: the one of high scores may be judged by the one of low scores alone
    groups = np.array(["low"] * 20 + ["high"] * 20 + [""] * 20)
    values = np.concatenate([np.linspace(0, 1, 20), np.linspace(5, 6, 20), np.full(20, 9.0)])
    _, reset = frozen_and_reset(VARIED, PLATE._replace(groups=groups), values, 2.5, SETTINGS)
    assert reset["false_positive_rate"] == 0.5  # all of the high ones, none of the low ones


def test_a_single_good_image_sets_no_threshold():
    labels = np.array([0, 1, 1])
    plate = Judged(labels, np.full(3, ""), "plate")
    _, reset = frozen_and_reset(VARIED, plate, np.arange(3.0), 2.5, SETTINGS)
    assert "a single good test image" in reset["reason"]


def test_images_at_severity_0_have_the_features_of_the_benchmark(
    category: Path, resnet18_weights: Path, tmp_path: Path
):
    settings = {"interpolation": "lanczos", "size": 32}
    wanted = Pass("lanczos32", settings, "resnet18", resnet18_weights, (Tap("layer2", 2),))
    files = sorted(category.glob("test/*/*.png"))[:6]
    machine = Machine("cpu", "fp32", 1)
    images = [(file, file_sha256(file)) for file in files]
    write_features(images, [wanted], {wanted.name: {}}, machine, tmp_path / "f.h5", "")
    with open_h5(tmp_path / "f.h5") as file:
        expected = file[wanted.name]["layer2/pool2"][()]
    same, dark = Perturbation("noise", 0), Perturbation("brightness", -50)
    (block,) = perturbed_features(images, [same, dark], [wanted], machine, 42, "")
    assert (block[same][wanted.name]["layer2/pool2"] == expected).all()
    assert not np.allclose(block[dark][wanted.name]["layer2/pool2"], expected)
