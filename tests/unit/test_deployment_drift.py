"""New images compared with the held-out ones: intervals, the two-sample test, the advice."""

import numpy as np
import pytest
from scipy import stats

from defectbench.deployment.drift import (
    ImageStatistics,
    image_statistics,
    kolmogorov_smirnov,
    same_world,
    training_ranges,
)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
def test_two_sample_test_is_kolmogorov_and_smirnovs(shift: float):
    rng = np.random.default_rng(42)
    a, b = rng.normal(size=300), rng.normal(size=200) + shift
    distance, p_value = kolmogorov_smirnov(a, b)
    exact = stats.ks_2samp(a, b)
    assert distance == pytest.approx(exact.statistic)
    assert p_value == pytest.approx(exact.pvalue, rel=0.25, abs=0.01)


def test_equal_samples_do_not_differ():
    assert kolmogorov_smirnov([1, 2, 2, 3], [1, 2, 2, 3]) == (0, 1)


def photographs(rng: np.random.Generator, n_images: int, brightness: float = 100):
    return [
        ImageStatistics(brightness + rng.normal(), 5 + rng.normal(), 300, 300)
        for _ in range(n_images)
    ]


def compare(rng: np.random.Generator, shift: float = 0, brightness: float = 100, n: int = 200):
    held_out = rng.normal(size=300)
    threshold = float(np.quantile(held_out, 0.95))
    ranges = training_ranges(photographs(rng, 300))
    metadata = {"held_out_scores": held_out, "training_images": ranges}
    scores = rng.normal(size=n) + shift
    new = photographs(rng, n, brightness)
    defective = int((scores >= threshold).sum())
    expectation = {"false_positive_rate": 0.05, "rate_range": [0.03, 0.08]}
    return same_world(scores, defective, expectation, new, metadata)


def test_a_day_like_the_others_raises_no_alarm():
    rng = np.random.default_rng(42)
    alarms = [bool(compare(rng)["differences"]) for _ in range(40)]
    assert sum(alarms) <= 6


def test_higher_scores_are_noticed_twice():
    differences = compare(np.random.default_rng(42), shift=1)["differences"]
    assert len(differences) == 2
    assert "above the threshold" in differences[0]
    assert "not distributed" in differences[1]


def test_another_light_is_noticed_though_scores_are_alike():
    world = compare(np.random.default_rng(42), brightness=130)
    (difference,) = world["differences"]
    assert difference.startswith("brightness: 200 of 200 images")
    assert "recalibrate" in world["advice"]


def test_lower_scores_are_noticed_though_none_reaches_the_threshold():
    world = compare(np.random.default_rng(42), shift=-6)
    assert world["above"]["count"] == 0
    (difference,) = world["differences"]
    assert "not distributed" in difference
    assert "a defect might not either" in world["advice"]


def test_few_images_allow_no_conclusion():
    assert "too few" in compare(np.random.default_rng(42), n=5)["advice"]


def test_blur_lowers_sharpness_and_leaves_brightness():
    rng = np.random.default_rng(42)
    sharp = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = np.broadcast_to(sharp.mean(axis=(0, 1)), sharp.shape).astype(np.uint8)
    before, after = (image_statistics(pixels, (64, 48)) for pixels in (sharp, blurred))
    assert after.sharpness < before.sharpness / 10
    assert after.brightness == pytest.approx(before.brightness, abs=1)
    assert (after.width, after.height) == (64, 48)
