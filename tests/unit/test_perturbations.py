"""Perturbations do what their unit says, and nothing at severity 0."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from defectbench.studies.perturbed_features import PERTURBATIONS, perturb

ROOT = Path(__file__).parents[2]
SHA = "ab" * 32


def photograph(mode: str) -> Image.Image:
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(60, 190, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((60, 44), Image.Resampling.BICUBIC), float)
    grain = rng.normal(0, 4, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).convert(mode)


def pixels(name: str, severity: float, mode: str = "RGB", sha: str = SHA, seed: int = 42):
    return np.asarray(perturb(photograph(mode), name, severity, seed, sha), float)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", PERTURBATIONS)
def test_severity_0_is_the_identity_and_others_keep_mode_and_size(name: str, mode: str):
    image = photograph(mode)
    same = perturb(image, name, 0, 42, SHA)
    assert (same.mode, same.size, same.tobytes()) == (image.mode, image.size, image.tobytes())
    changed = perturb(image, name, 10, 42, SHA)
    assert (changed.mode, changed.size) == (image.mode, image.size)
    assert changed.tobytes() != image.tobytes()


def test_a_fifth_less_light_is_a_fifth_less_brightness():
    assert pixels("brightness", -20).mean() == pytest.approx(
        0.8 * pixels("blur", 0).mean(), abs=0.1
    )


def test_half_the_contrast_keeps_the_mean_and_halves_the_deviation():
    before, after = pixels("contrast", 0, "L"), pixels("contrast", -50, "L")
    assert after.mean() == pytest.approx(before.mean(), abs=0.3)
    assert after.std() == pytest.approx(before.std() / 2, rel=0.02)


def test_noise_has_its_deviation_and_belongs_to_image_and_seed():
    clean = np.full((80, 80), 128, np.uint8)
    noisy = [
        np.asarray(perturb(Image.fromarray(clean), "noise", 5, seed, sha), float)
        for seed, sha in ((42, SHA), (42, SHA), (43, SHA), (42, "cd" * 32))
    ]
    assert noisy[0].std() == pytest.approx(5, rel=0.05)
    assert (noisy[0] == noisy[1]).all()
    assert not (noisy[0] == noisy[2]).all()
    assert not (noisy[0] == noisy[3]).all()


def test_a_translation_moves_by_whole_pixels_and_the_border_goes_on():
    before, after = pixels("translation", 0), pixels("translation", 7)
    assert (after[:, 7:] == before[:, :-7]).all()
    assert (after[:, :7] == before[:, :1]).all()
    back = pixels("translation", -7)
    assert (back[:, :-7] == before[:, 7:]).all()


def test_a_rotation_turns_anticlockwise_about_the_centre():
    square = np.zeros((41, 41), np.uint8)
    square[20, 36] = 200  # right of the centre
    turned = np.asarray(perturb(Image.fromarray(square), "rotation", 90, 42, SHA))
    assert np.unravel_index(turned.argmax(), turned.shape) == (4, 20)


def test_blur_and_compression_lose_more_the_more_there_is():
    for name, milder, stronger in (("blur", 0.5, 2), ("jpeg", 90, 10)):
        clean = pixels(name, 0)
        errors = [np.abs(pixels(name, each) - clean).mean() for each in (milder, stronger)]
        assert 0 < errors[0] < errors[1]


def test_the_schema_has_a_key_for_each():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    known = schema["properties"]["studies"]["properties"]["robustness"]["properties"]
    assert set(known) == set(PERTURBATIONS)
