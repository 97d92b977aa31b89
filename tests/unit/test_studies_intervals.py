"""What the draws, the test images and the threshold each leave open of a study's figures."""

import numpy as np
import pytest

from defectbench.evaluation.promises import Asked, promise
from defectbench.studies.draws import draws_covariance, draws_variance, least_rate_variance
from defectbench.studies.levels import auroc_parts, level
from defectbench.studies.paired import difference
from defectbench.studies.reset import reset_level
from defectbench.studies.results import Settings
from defectbench.studies.threshold_error import rate_limits, threshold_limits, widened
from defectbench.studies.verdicts import Judged, Verdict

SETTINGS = Settings(0.05, "average", 5, 42)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a variance."""
    monkeypatch.setattr("defectbench.evaluation.bootstrap.REPLICATES", 100)


def test_a_single_draw_tells_nothing_of_others():
    assert draws_variance([0.9], 0.5) == 0


def test_draws_of_the_same_images_vary_less_than_draws_of_others_would():
    # of half of the images, what they share varies as much again as one of them does by itself
    few = draws_variance([0.8, 0.9, 1.0], 0.5)
    assert few / draws_variance([0.8, 0.9, 1.0], 0) == pytest.approx((1 / 3 + 1) / (1 / 3))


def test_what_three_draws_differ_by_counts_as_much_as_students_quantile_says():
    # the 97.5 % quantiles of Student's distribution with 2 degrees of freedom, and of the normal
    quantiles = 4.302653, 1.959964
    expected = 0.01 / 3 * (quantiles[0] / quantiles[1]) ** 2
    assert draws_variance([0.8, 0.9, 1.0], 0) == pytest.approx(expected)


def test_draws_that_take_all_images_do_not_vary():
    assert draws_variance([0.9, 0.9, 0.9], 1.0) == 0


def test_figures_that_rise_and_fall_together_have_a_covariance():
    assert draws_covariance([1, 2, 3], [2, 4, 6], 0) == 2 * draws_variance([1, 2, 3], 0)
    assert draws_covariance([1, 2, 3], [6, 4, 2], 0) == -2 * draws_variance([1, 2, 3], 0)


def test_the_rate_of_a_threshold_varies_as_beta_does():
    promised = promise(np.arange(39.0), [""] * 39, Asked(0.05))  # one of 39 may lie above
    rates = np.random.default_rng(0).beta(2, 38, 200_000)
    assert least_rate_variance(promised, 5, 0.0) * 5 == pytest.approx(rates.var(), rel=0.02)
    assert least_rate_variance(promised, 1, 0.0) == 0


def test_false_alarms_of_draws_that_happen_to_agree_may_still_differ():
    labels = np.repeat([0, 1], [400, 20])
    images = Judged(labels, np.full(420, ""), "plate")
    scores = np.arange(420.0)
    promised = promise(np.arange(20.0), [""] * 20, Asked(0.05))
    verdict = Verdict(images, scores, (scores == 3) | (labels == 1), 0.0, promised)
    low, high = level({}, 20, [verdict] * 3, 42, 0.25)["intervals"]["false_positive_rate"]
    assert low < 1 / 400 < 1 / 21 < high
    of_one = level({}, 20, [verdict], 42)["intervals"]["false_positive_rate"]
    assert of_one[1] < 1 / 21


def test_parts_of_an_auroc_sum_to_the_variance_that_delong_gives():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [40, 30])
    scores = rng.normal(size=70) + labels
    beaten = scores[labels == 1][:, None] > scores[labels == 0]
    expected = beaten.mean(axis=1).var() / 30 + beaten.mean(axis=0).var() / 40
    parts = auroc_parts(labels, scores, np.full(70, ""))
    assert parts @ parts == pytest.approx(expected)


def test_images_of_a_group_have_one_part():
    labels, groups = np.repeat([0, 1], [4, 4]), np.array(list("aabbccdd"))
    parts = auroc_parts(labels, np.array([1.0, 2, 5, 3, 4, 6, 7, 8]), groups)
    alone = auroc_parts(labels, np.array([1.0, 2, 5, 3, 4, 6, 7, 8]), np.full(8, ""))
    assert parts == pytest.approx(alone.reshape(4, 2).sum(axis=1))


def test_detectors_that_err_on_the_same_images_differ_clearly_by_little():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], [100, 100])
    images = Judged(labels, np.full(200, ""), "plate")
    scores = rng.normal(size=200) + 1.5 * labels

    def point(values: np.ndarray):
        return level({}, 20, [Verdict(images, values, values > 0, 0.0)], 42)

    better, alike = point(scores + 0.3 * labels), point(rng.permutation(scores[:100]).repeat(2))
    found = difference(better, point(scores), share=0)
    assert 0 < found.low < found.value < found.high
    low, high = better["intervals"]["image_auroc"]
    assert found.high - found.low < (high - low) / 2
    # of unlike errors, the interval is wider than that of either
    other = difference(better, alike, share=0)
    assert other.high - other.low > high - low


def limits_at(rate: float, scores: np.ndarray, groups: list[str], *, whole: bool = False):
    (found,) = threshold_limits(scores, groups, [(rate, rate)], whole=whole)
    return found


def test_a_threshold_is_known_as_well_as_the_share_that_reaches_it():
    low, high = limits_at(0.05, np.arange(200.0), [""] * 200)
    assert low < 190 < high
    # the exact interval of 3 of 200 ends below 5 %, that of 4 above; 16 of 200 is the most
    assert (200 - low, 199 - high) == (16, 3)


def test_few_good_images_leave_open_how_high_a_threshold_may_be():
    assert limits_at(0.05, np.arange(40.0), [""] * 40)[1] == np.inf


def test_by_the_tolerance_the_largest_score_of_each_group_counts():
    groups = [f"part{row // 4}" for row in range(800)]
    scores = np.tile([0.0, 0, 0, 1], 200) * np.arange(800)
    of_largest = limits_at(0.05, scores[3::4], [""] * 200)
    assert limits_at(0.05, scores, groups, whole=True) == of_largest


def test_rates_are_those_that_thresholds_of_so_many_images_have():
    rates = np.random.default_rng(0).beta(2, 38, 200_000)
    alone = promise(np.arange(39.0), [""] * 39, Asked(0.05))
    least, most = rate_limits(alone, 0.3)
    assert least == most == pytest.approx(np.quantile(rates, 0.3), rel=0.02)


def test_images_of_groups_leave_open_how_many_of_them_count():
    groups = [f"part{row // 4}" for row in range(240)]
    # of 19 groups none may lie above; of 76 images that have nothing in common, as well
    least, most = rate_limits(promise(np.arange(76.0), groups[:76], Asked(0.05)), 0.5)
    assert (least, most) == pytest.approx((1 - 0.5 ** (1 / 76), 1 - 0.5 ** (1 / 19)))
    # by the tolerance, 60 groups are 60 of what counts
    least, most = rate_limits(promise(np.arange(240.0), groups, Asked(0.05, "tolerance")), 0.5)
    assert least == most == pytest.approx(1 - 0.5 ** (1 / 60))


def test_errors_of_images_and_threshold_add_up_as_squares():
    assert widened(0.5, (0.47, 0.53), (0.46, 0.54)) == pytest.approx((0.45, 0.55))
    assert widened(0.5, (0.47, 0.53), (0.5, 0.5)) == pytest.approx((0.47, 0.53))


@pytest.mark.parametrize(("rule", "rate"), [("average", 1 / 31), ("tolerance", 1 / 61)])
def test_a_threshold_set_anew_keeps_its_rule(rule: str, rate: float):
    # thresholds of the average rest on 30 images each, those of the tolerance on 60
    count = 60 if rule == "average" else 120
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], [count, 50])
    images = Judged(labels, np.full(count + 50, ""), "plate")
    found = [
        reset_level({}, images, rng.normal(size=count + 50) + 2 * labels, each)
        for each in (SETTINGS._replace(rule=rule, seed=seed) for seed in range(8))
    ]
    rates = [each["false_positive_rate"] for each in found]
    assert np.mean(rates) == pytest.approx(rate, abs=0.012)
    assert {each["repeats"][0]["set_on"] for each in found} == {count // 2}


def test_the_share_found_is_as_open_as_the_threshold_that_good_images_set():
    rng = np.random.default_rng(6)
    widths = []
    for good in (40, 400):
        labels = np.repeat([0, 1], [good, 200])
        images = Judged(labels, np.full(good + 200, ""), "plate")
        scores = rng.normal(size=good + 200) + 2 * labels
        widths.append(np.ptp(reset_level({}, images, scores, SETTINGS)["intervals"]["recall"]))
    # 200 defective images alone would leave 0.14 open; how far up good scores go, 40 do not show
    assert widths[0] > 0.5 > 0.25 > widths[1] > 0.14
