"""Figures of the page: axes that fit scores, names that stand apart, thresholds that can be set."""

import numpy as np
import pytest
from made_results import made_metrics
from matplotlib.figure import Figure

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.promises import RULES, Asked, promise
from defectbench.records import HeldOutScores, Scores
from defectbench.reports.cost_figures import cost_figures, spread
from defectbench.reports.figures import Look, log_axis, ranking_figure
from defectbench.reports.histograms import score_axis, settable_thresholds

GOOD = np.sort(np.random.default_rng(2).normal(5, 1, 60))


def cell(scores: list[float], threshold: float | None = None, rule: str = "average", parts=60):
    """A detector with these scores of test images, and `GOOD`, of so many parts, behind it."""
    groups = np.array([f"part {number % parts}" for number in range(len(GOOD))])
    promised = promise(GOOD, groups, Asked(0.05, rule))
    metrics = made_metrics("plate", "a", 0.9, promise=promised)
    metrics["thresholds"] = {"honest": threshold, "oracle": None}
    nothing = np.full(len(scores), "")
    test = Scores([str(k) for k in range(len(scores))], nothing, nothing, nothing, np.array(scores))
    good = HeldOutScores([], groups, np.arange(len(GOOD)), GOOD)
    return CellResults(metrics, test, good, {}, None, {})


def test_all_scores_and_the_threshold_lie_within_the_axis():
    axis = score_axis(cell([-3.0, 0.5, 7.0], threshold=9.0))
    assert axis.low < -3 < 9 < axis.high
    assert not axis.log
    assert len(axis.ticks) >= 4
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


def test_positive_scores_that_spread_more_than_tenfold_stand_on_a_logarithmic_axis():
    axis = score_axis(cell([10.0, 40.0, 150.0]))
    assert axis.log
    assert axis.ticks == [10, 20, 50, 100]
    assert np.allclose(np.diff(np.log(axis.edges(30))), np.log(axis.high / axis.low) / 30)
    assert not score_axis(cell([10.0, 40.0, 90.0])).log


def test_a_far_outlier_does_not_squeeze_the_others():
    axis = score_axis(cell([*np.linspace(-1, 1, 200), 1e6]))
    assert axis.high < 10


def test_equal_scores_have_an_axis():
    assert score_axis(cell([2.0, 2.0])).low < 2 < score_axis(cell([2.0, 2.0])).high


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parts", [60, 20])
def test_a_rate_of_the_page_sets_its_threshold(rule: str, parts: int):
    one = cell([1.0, 2.0], rule=rule, parts=parts)
    found = settable_thresholds(one)
    assert len(found) >= 2
    assert found == sorted(found, reverse=True)
    (own,) = (threshold for threshold, rate in found if rate is None)
    assert own == one.metrics["promise"]["threshold"]
    for threshold, rate in found:
        promised = promise(GOOD, one.good.groups, Asked(0.05 if rate is None else rate, rule))
        assert promised["threshold"] == threshold
        assert rate is None or not promised["estimate"]


def test_names_stand_apart_in_their_order_and_near_their_points():
    assert spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    places = spread([0.0, 0.01, 0.02, 0.5, 0.52], 0.1)
    assert min(np.diff(places)) >= 0.1 - 1e-9
    assert places[3:] == pytest.approx([0.46, 0.56])


@pytest.mark.parametrize("values", [[55.49, 55.54], [3.0], [0.01, 900.0]])
def test_a_logarithmic_axis_has_several_ticks_and_shows_nearly_equal_values_as_such(values):
    axes = Figure().add_subplot()
    log_axis(values, axes)
    low, high = axes.get_xlim()
    assert low < min(values) <= max(values) < high
    assert high / low >= 9
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 3


def entry(detector: str, auroc: float | None) -> dict:
    interval = [None, None] if auroc is None else [auroc - 0.1, auroc]
    measured = {"milliseconds": 55.5, "peak_mb": None}
    return {"detector": detector, "auroc": auroc, "auroc_interval": interval, **measured}


def test_equal_points_keep_a_name_each():
    look = Look({name: name for name in ("fre", "dfkde", "padim")})
    (figure,) = cost_figures([entry(name, 0.9) for name in look.names], look)
    assert all(f">{name}</text>" in figure.svg for name in look.names)


def test_without_an_auroc_there_is_no_empty_figure():
    look = Look({"fre": "fre"})
    assert ranking_figure([entry("fre", None)], look) is None
    assert cost_figures([entry("fre", None)], look) == []
