"""What a detector says of itself: thresholds, units, licences."""

import numpy as np
import pytest

from defectbench.deployment.card import licence_notes, score_unit, threshold_table
from defectbench.deployment.graphs import GRAPHS


def test_thresholds_keep_their_rate_and_only_rates_that_the_images_carry_are_listed():
    held_out = np.random.default_rng(42).normal(size=150)
    table = threshold_table(held_out, 0.05, 1.8)
    assert [row["false_positive_rate"] for row in table] == [0.2, 0.1, 0.05, 0.02, 0.01]
    for row in table:
        assert (held_out >= row["threshold"]).mean() <= row["false_positive_rate"]
    needed = {row["false_positive_rate"]: row["images_for_95_percent"] for row in table}
    assert (needed[0.05], needed[0.01]) == (59, 299)


def test_the_asked_rate_is_listed_also_where_few_images_carry_it():
    table = threshold_table([1.0, 2.0, 3.0], 0.05, 3.5)
    assert [row["false_positive_rate"] for row in table] == [0.05]
    assert table[0]["threshold"] == 3.5  # of the benchmark, which is not set a second time


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
