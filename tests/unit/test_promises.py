"""Thresholds for new images: how many held-out scores may lie above, and what follows."""

import numpy as np
import pytest
from scipy.stats import beta

from defectbench.evaluation.cautions import why_estimated
from defectbench.evaluation.promises import (
    EACH,
    FEW,
    FOLDS,
    MANY,
    ROUGH,
    Asked,
    fewest,
    promise,
)

ALONE = [""] * 100
RNG_SCORES = np.random.default_rng(1).normal(size=300)


def of(count: int, rate: float = 0.05, rule: str = "average") -> dict:
    """What so many ungrouped held-out images promise."""
    return promise(RNG_SCORES[:count], [""] * count, Asked(rate, rule))


@pytest.mark.parametrize(
    ("images", "above", "rate"),
    [(19, 0, 0.05), (20, 0, 0.05), (38, 0, 0.05), (39, 1, 0.05), (59, 2, 0.05), (300, 14, 0.05),
     (99, 28, 0.29), (199, 28, 0.145)],
)  # fmt: skip
def test_the_average_lets_k_lie_above_where_the_next_is_among_k_plus_1_of_n_plus_1(
    images: int, above: int, rate: float
):
    found = of(images, rate)
    assert (RNG_SCORES[:images] >= found["threshold"]).sum() == found["above"] == above
    assert found["expected"] == pytest.approx((above + 1) / (images + 1))
    assert found["expected"] <= rate + 1e-12
    assert (above + 2) / (images + 1) > rate
    assert not found["estimate"]


@pytest.mark.parametrize(("images", "above"), [(59, 0), (92, 0), (93, 1), (208, 5), (286, 8)])
def test_the_tolerance_lets_as_many_lie_above_as_keep_the_rate_in_95_of_100_draws(
    images: int, above: int
):
    found = of(images, rule="tolerance")
    assert (RNG_SCORES[:images] >= found["threshold"]).sum() == above
    assert beta.cdf(0.05, above + 1, images - above) >= 0.95
    assert beta.cdf(0.05, above + 2, images - above - 1) < 0.95


def test_the_range_is_that_of_the_beta_distribution():
    expected = beta.ppf([0.025, 0.975], 15, 286)
    assert of(300)["range"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rule", "images"), [("average", 18), ("tolerance", 58)])
def test_with_too_few_images_the_quantile_is_an_estimate_that_says_how_many_it_takes(
    rule: str, images: int
):
    found = of(images, rule=rule)
    assert found["estimate"] == FEW
    assert found["next"] == images + 1
    assert (RNG_SCORES[:images] >= found["threshold"]).sum() == int(0.05 * images)


@pytest.mark.parametrize("rule", ["average", "tolerance"])
def test_next_is_the_number_from_which_on_one_more_may_lie_above(rule: str):
    found = of(100, rule=rule)
    after, before = (promise(RNG_SCORES[:n], [""] * n, Asked(0.05, rule))["above"]
                     for n in (found["next"], found["next"] - 1))  # fmt: skip
    assert (before, after) == (found["above"], found["above"] + 1)


def test_no_number_of_images_supports_a_rate_of_0():
    assert fewest(0, 0, "average") is fewest(0, 0, "tolerance") is None
    found = of(300, 0)
    assert found["estimate"] == FEW
    assert found["threshold"] > RNG_SCORES.max()


def test_ties_with_the_last_score_that_may_lie_above_lower_the_rate():
    found = promise(np.repeat([1.0, 0.0], [9, 91]), ALONE, Asked(0.05))
    assert found["threshold"] > 1
    assert found["above"] == 0


def test_images_of_a_group_share_its_weight_and_no_weight_lies_at_infinity():
    # 39 groups and one of 10 images: two groups may lie above, or one and ten tenths of another
    scores = np.concatenate([np.arange(39.0), 100 + np.arange(10)])
    groups = [f"part {k}" for k in range(39)] + ["many"] * 10
    found = promise(scores, groups, Asked(0.05))
    assert (found["images"], found["groups"], found["estimate"]) == (49, 40, "")
    assert found["above"] == pytest.approx(1.0)  # 0.05 × 41 - 1 is 1.05
    assert found["threshold"] == np.nextafter(38, np.inf)


def test_the_tolerance_of_groups_looks_at_each_ones_largest_score():
    scores = np.repeat(np.arange(93.0), 3) + np.tile([0, -100, -200], 93)
    groups = np.repeat([f"part {k}" for k in range(93)], 3)
    found = promise(scores, groups, Asked(0.05, "tolerance"))
    assert found["threshold"] == np.nextafter(91, np.inf)
    assert found["above"] == 1


@pytest.mark.parametrize("rule", ["average", "tolerance"])
def test_scores_on_another_scale_make_an_estimate(rule: str):
    found = promise(RNG_SCORES, [""] * 300, Asked(0.05, rule, FOLDS))
    assert found["estimate"] == FOLDS
    assert found["threshold"] == of(300, rule=rule)["threshold"]


def test_a_scale_that_is_right_on_average_supports_no_tolerance():
    average, tolerance = (
        promise(RNG_SCORES, [""] * 300, Asked(0.05, rule, ROUGH))
        for rule in ("average", "tolerance")
    )
    assert average["estimate"] == ""
    assert tolerance["estimate"] == ROUGH
    assert tolerance["threshold"] == of(300, rule="tolerance")["threshold"]
    assert "keep a rate on average over sets of images, and not in 95 of 100" in why_estimated(
        tolerance
    )


@pytest.mark.parametrize(("folds", "at_most"), [(EACH, False), (MANY, True), (FOLDS, False)])
def test_the_rate_is_at_most_the_expected_one_where_many_are_held_out_at_a_time(
    folds: str, at_most: bool
):
    assert promise(RNG_SCORES, [""] * 300, Asked(0.05, folds=folds))["at_most"] == at_most


@pytest.mark.parametrize(("images", "rule"), [(20, "average"), (59, "average"), (93, "tolerance")])
def test_new_images_reach_the_threshold_as_often_as_expected(images: int, rule: str):
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(2000):
        threshold = promise(rng.uniform(size=images), [""] * images, Asked(0.05, rule))["threshold"]
        rates.append(1 - threshold)
    assert np.mean(rates) == pytest.approx(of(images, rule=rule)["expected"], abs=0.004)
    if rule == "tolerance":
        assert np.mean(np.array(rates) <= 0.05) > 0.94


def test_new_images_of_new_groups_reach_the_threshold_no_more_often_than_asked():
    rng = np.random.default_rng(3)
    rates = []
    for _ in range(1000):
        sizes = rng.integers(1, 30, 40)
        groups = np.repeat(np.arange(40), sizes)
        scores = rng.normal(size=40)[groups] + 0.5 * rng.normal(size=len(groups))
        threshold = promise(scores, groups.astype(str), Asked(0.05))["threshold"]
        rates.append((rng.normal(size=2000) * 1.25**0.5 >= threshold).mean())
    assert 0.02 < np.mean(rates) < 0.052


def test_too_few_images_say_what_they_support_by_the_rule_that_is_asked():
    average, tolerance = (why_estimated(of(12, rule=rule)) for rule in ("average", "tolerance"))
    assert average.endswith("a threshold above all 12 here would keep 7.7 % on average")
    # the largest of 12 scores is reached by at most 22 % of new images, in 95 of 100 sets
    assert tolerance.endswith("a threshold above all 12 here would keep 22 % in 95 of 100 cases")
