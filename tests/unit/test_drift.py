"""New images compared with those behind the threshold: what is named, and what is too small."""

from typing import Any

import numpy as np
import pytest

from defectbench.evaluation.drift import same_world
from defectbench.evaluation.photographs import ImageStatistics, image_statistics, photographed
from defectbench.evaluation.promises import FOLDS

BEHIND = 300
ABOVE = 14
"""Of the scores behind the threshold, as many as the rule for 5 % lets reach it."""


def photographs(rng: np.random.Generator, total: int, brightness: float = 100, spread: float = 1):
    light = rng.normal([brightness, 5], [spread, 0.2], (total, 2)).tolist()
    return [ImageStatistics(*each, 300, 300) for each in light]


def known(rng: np.random.Generator, groups: list[str] | None = None, **light: float):
    """Metadata of a detector whose scores are standard normal."""
    images = photographs(rng, BEHIND, **light)
    return {
        "held_out_scores": rng.normal(size=BEHIND),
        "training_images": photographed(images, groups or [""] * BEHIND),
    }


def threshold(metadata: dict[str, Any], estimate: str = "") -> dict[str, Any]:
    value = np.sort(metadata["held_out_scores"])[-ABOVE]
    asked = {"false_positive_rate": 0.05, "rate_range": [0.028, 0.076]}
    return asked | {"value": value, "estimate": estimate}


def compare(
    total: int = 200,
    shift: float = 0,
    brightness: float = 100,
    spread: float = 1,
    metadata: dict[str, Any] | None = None,
    seed: int = 42,
    estimate: str = "",
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    metadata = metadata or known(rng)
    scores, new = rng.normal(size=total) + shift, photographs(rng, total, brightness, spread)
    return same_world(scores, threshold(metadata, estimate), new, metadata)


@pytest.mark.parametrize("total", [50, 1000])
def test_days_like_the_others_raise_no_alarm(total: int):
    named = [compare(total, seed=seed)["differences"] for seed in range(20)]
    assert sum(map(bool, named)) <= 1


def test_higher_scores_are_noticed_twice():
    differences = compare(shift=1)["differences"]
    assert len(differences) == 2
    assert "above the threshold" in differences[0]
    assert "not distributed" in differences[1]


def test_a_real_difference_in_scores_that_is_too_small_to_matter_is_not_named():
    world = compare(10_000, shift=0.3)
    assert world["scores"]["p_value"] < 0.0001
    assert not world["differences"]


def test_of_many_images_a_share_above_the_threshold_is_named_from_twice_the_expected_one():
    metadata = {
        "held_out_scores": np.arange(4_000) / 4_000,
        "training_images": photographed(photographs(np.random.default_rng(1), 4_000), [""] * 4_000),
    }
    expectation = {"value": 0.95, "false_positive_rate": 0.05, "rate_range": [0.047, 0.053]}
    new = photographs(np.random.default_rng(2), 4_000)
    for share, named in ((0.09, 0), (0.11, 1)):
        scores = np.where(np.arange(4_000) < share * 4_000, 0.96, np.arange(4_000) / 4_220)
        world = same_world(scores, expectation, new, metadata)
        assert world["above"]["p_value"] < 1e-9
        assert len(world["differences"]) == named


@pytest.mark.parametrize(("share", "named"), [(0.04, 0), (0.06, 1)])
def test_images_outside_of_a_range_are_named_from_one_in_twenty(share: float, named: int):
    rng = np.random.default_rng(42)
    metadata, new = known(rng), photographs(rng, 5000)
    dark = round(share * 5000)
    new[:dark] = photographs(rng, dark, brightness=70)
    found = same_world(rng.normal(size=5000), threshold(metadata), new, metadata)["differences"]
    assert len(found) == named


def test_scores_on_the_scale_of_few_folds_are_not_compared():
    assert not compare(shift=-1, estimate=FOLDS)["differences"]
    assert compare(shift=-1)["differences"]


def test_another_light_is_noticed_though_scores_are_alike():
    world = compare(brightness=130)
    light, outside = world["differences"]
    assert light == "brightness: 130 on average, and 100 that of the training images"
    assert outside.startswith("brightness: 200 of 200 images")
    assert "recalibrate" in world["advice"]


def test_another_light_is_noticed_within_the_range_of_the_training_images():
    metadata = known(np.random.default_rng(1), spread=5)
    world = compare(brightness=104, metadata=metadata)
    assert world["outside"]["brightness"] == 0
    (difference,) = world["differences"]
    assert "brightness: 104 on average, and 99.6" in difference


def test_of_light_that_hardly_spreads_a_harmless_change_is_not_named():
    metadata = known(np.random.default_rng(1), spread=0.01)
    world = compare(brightness=101, spread=0.01, metadata=metadata)
    assert world["light"]["brightness"]["p_value"] < 1e-9
    assert not world["differences"]


def test_some_dark_images_among_many_are_noticed():
    rng = np.random.default_rng(42)
    metadata = known(rng)
    new = [*photographs(rng, 180), *photographs(rng, 20, brightness=80)]
    (difference,) = same_world(rng.normal(size=200), threshold(metadata), new, metadata)[
        "differences"
    ]
    assert difference == "brightness: 20 of 200 images are outside the range of the training images"


def test_lower_scores_are_noticed_though_none_reaches_the_threshold():
    world = compare(shift=-6)
    assert world["above"]["count"] == 0
    (difference,) = world["differences"]
    assert "not distributed" in difference
    assert "a defect might not either" in world["advice"]


def test_one_image_of_another_size_is_a_change_where_all_were_of_one():
    rng = np.random.default_rng(42)
    metadata, new = known(rng), photographs(rng, 200)
    new[7] = new[7]._replace(width=301)
    (difference,) = same_world(rng.normal(size=200), threshold(metadata), new, metadata)[
        "differences"
    ]
    assert difference == "width: 1 of 200 images are outside the range of the training images"


def test_few_images_allow_no_conclusion_and_no_difference_is_named():
    world = compare(total=19, shift=6, brightness=200)
    assert world["differences"] == []
    assert world["advice"] == "too few images to tell whether anything has changed: 19 of 20"


MODULES = [str(k % 13) for k in range(BEHIND)]


def test_of_images_in_modules_the_modules_count():
    metadata = known(np.random.default_rng(1), groups=MODULES)
    assert not compare(shift=0.7, metadata=metadata)["differences"]
    assert compare(shift=0.7)["differences"]
    assert compare(total=1000, shift=3, metadata=metadata)["differences"]


def test_images_of_two_modules_allow_no_conclusion_however_many_they_are():
    metadata = known(np.random.default_rng(1), groups=MODULES)
    world = compare(total=50, shift=6, metadata=metadata)
    assert world["differences"] == []
    assert "50 new ones count as 2.17, and 300 behind the threshold as 13" in world["advice"]


def test_a_calibrated_detector_compares_with_its_parts():
    rng = np.random.default_rng(1)
    parts = known(rng, brightness=130)
    metadata = known(rng) | {"calibration": {"statistics": parts["training_images"]}}
    assert not compare(brightness=130, metadata=metadata)["differences"]
    difference = compare(brightness=100, metadata=metadata)["differences"][0]
    assert difference.endswith("130 that of the good parts of the calibration")


def test_blur_lowers_sharpness_and_leaves_brightness():
    rng = np.random.default_rng(42)
    sharp = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = np.broadcast_to(sharp.mean(axis=(0, 1)), sharp.shape).astype(np.uint8)
    before, after = (image_statistics(pixels, (64, 48)) for pixels in (sharp, blurred))
    assert after.sharpness < before.sharpness / 10
    assert after.brightness == pytest.approx(before.brightness, abs=1)
    assert (after.width, after.height) == (64, 48)
