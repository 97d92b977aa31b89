"""What a detector says of itself: thresholds, units, licences."""

import numpy as np
import pytest

from defectbench.deployment.expectations import threshold_table
from defectbench.deployment.graphs import GRAPHS
from defectbench.evaluation.promises import Asked, promise
from defectbench.evaluation.score_units import score_unit
from defectbench.licences import licence_notes
from defectbench.records import HeldOutScores


def held_out(count: int) -> HeldOutScores:
    scores = np.random.default_rng(42).normal(size=count)
    return HeldOutScores([], np.full(count, ""), np.arange(count), scores)


def table(count: int) -> list[dict]:
    own = held_out(count)
    return threshold_table(own.scores, own.groups, promise(own.scores, own.groups, Asked(0.05)))


def test_thresholds_are_listed_for_the_rates_that_the_images_support():
    rows = table(150)
    assert [row["false_positive_rate"] for row in rows] == [0.2, 0.1, 0.05, 0.02, 0.01]
    for row in rows:
        assert (held_out(150).scores >= row["value"]).mean() <= row["false_positive_rate"]
        assert row["expected_rate"] <= row["false_positive_rate"]
        assert row["rate_range"][0] < row["expected_rate"] < row["rate_range"][1]
        assert row["estimate"] == ""


def test_the_asked_rate_is_listed_also_where_few_images_make_it_an_estimate():
    (row,) = table(3)
    assert (row["false_positive_rate"], row["estimate"]) == (0.05, "few")


@pytest.mark.parametrize("scorer", GRAPHS)
def test_every_exportable_score_has_a_unit(scorer: str):
    assert score_unit(scorer, 1) != "of the scorer"
    if scorer == "pca_fre":
        assert score_unit(scorer, 3).startswith("without unit")


def test_the_licence_of_weights_follows_their_digest_whatever_the_backbone_is_called():
    assert "torchvision" in licence_notes("f37072fd" + "0" * 56, "folder", "x")["weights"]
    own = licence_notes("0" * 64, "folder", "x")["weights"]
    assert own == "not known here: ask where they come from"


def test_the_licence_of_data_follows_their_source_and_a_name_alone_is_doubted():
    def data(source: str, dataset: str) -> str:
        return licence_notes("0" * 64, source, dataset)["data"]

    assert data("elpv", "my_cells").startswith("ELPV, CC BY-NC-SA 4.0")
    assert data("folder", "elpv") == "not known here: ask where they come from"
    assert "if these are its images" in data("folder", "mvtec")
