"""The study across: how pairs are spelled, what is refused, and what a detector is shown."""

import numpy as np
import pytest

from defectbench.config.crossings import Place, check_crossings, crossings
from defectbench.config.schema import check_schema
from defectbench.errors import InputError
from defectbench.scorers.nearest_neighbour import NearestNeighbour
from defectbench.scorers.pca_kde import PcaKde
from defectbench.studies.frozen import across, fitted_rows, judging_rows
from defectbench.studies.results import Settings
from defectbench.studies.trial import Category

SETTINGS = Settings(0.05, "average", 5, 42)
DEEP = {"scorer": "pca_fre", "layer": "deep", "pool": 2, "preprocessing": "p", "backbones": ["x"]}
FLAT = DEEP | {"layer": "flat"}
MODULES = {"category": "cells", "groups": ["module1", "module2"]}


def config(*pairs: dict) -> dict:
    """Two datasets, of which the second reads less, and one of features made elsewhere."""
    return {
        "datasets": {
            "solar": {"source": "elpv", "all_categories": ["cells", "thin"], "methods": ["a", "b"]},
            "parts": {"source": "elpv", "all_categories": ["cells", "ring"], "methods": ["a"]},
            "given": {"source": "features", "all_categories": ["cells"], "methods": ["a"]},
        },
        "preprocessings": {"p": {"interpolation": "lanczos", "size": 64}},
        "methods": {"a": DEEP, "b": FLAT},
        "studies": {"across": list(pairs)},
    }


def test_a_pair_without_datasets_is_of_every_dataset_that_has_both():
    both = config({"train": "cells", "test": "thin"})
    (found,) = crossings(both, "solar", "cells")
    assert found == (Place("solar", "cells"), Place("solar", "thin"))
    assert crossings(both, "parts", "cells") == []
    assert crossings(both, "solar", "thin") == []


def test_a_pair_can_be_of_two_datasets_or_of_groups():
    given = config(
        {"train": "parts/ring", "test": "solar/cells"}, {"train": MODULES, "test": "cells"}
    )
    check_crossings(given)
    ((train, test),) = crossings(given, "parts", "ring")
    assert [train.title("parts"), test.title("parts")] == ["ring", "solar/cells"]
    ((train, test),) = crossings(given, "solar", "cells")
    assert [train.title("solar"), test.title("solar")] == ["cells (module1, module2)", "cells"]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"train": "cells", "test": "rnig"}, "test: unknown value 'rnig'; did you mean ring"),
        ({"train": "prts/ring", "test": "solar/thin"}, "dataset 'prts'; did you mean parts"),
        ({"train": "solar/ring", "test": "parts/ring"}, "it can be cells, thin"),
        ({"train": "solar/thin", "test": "ring"}, "solar/thin and ring: name the dataset of both"),
        (
            {"train": "solar/thin", "test": "parts/ring"},
            "parts has no features for b of solar; add it to datasets.parts.methods",
        ),
        ({"train": "parts/ring", "test": "given/cells"}, "one of parts and given were made else"),
    ],
)
def test_what_refers_to_nothing_or_cannot_be_compared_is_refused(pair: dict, message: str):
    with pytest.raises(InputError, match=message):
        check_crossings(config(pair))


def test_groups_without_a_category_are_refused():
    with pytest.raises(InputError, match=r"studies\.across\.0\.train"):
        check_schema(config({"train": {"groups": ["module1"]}, "test": "thin"}))


def batches() -> Category:
    """Two batches of good images at different places, each with defective ones in the test."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    batch = np.tile(["a", "b"], 60)
    labels = np.repeat([0, 1], [90, 30])
    X[batch == "b"] += 20
    X[labels == 1] += 5
    rows = np.arange(120)
    return Category(X, labels, batch, rows[:60], rows[60:], "cells")


def test_a_detector_of_one_batch_calls_every_part_of_another_defective():
    cells = batches()
    train = fitted_rows(cells, ["a"])
    assert set(cells.groups[train]) == {"a"}
    tests = [(name, cells, judging_rows(cells, [name])) for name in ("a", "b")]
    found = across(NearestNeighbour(), cells, ("cells (a)", train), tests, SETTINGS)
    frozen = {each["level"]: each for each in found if each["variant"] == "frozen"}
    reset = {each["level"]: each for each in found if each["variant"] == "reset"}
    assert {each["train"] for each in found} == {"cells (a)"}
    assert [each["images"] for each in found] == [30] * 4
    assert frozen["a"]["false_positive_rate"] < 0.3
    assert (frozen["b"]["false_positive_rate"], frozen["b"]["recall"]) == (1, 1)
    assert reset["b"]["false_positive_rate"] < 0.3


def test_groups_of_too_few_images_for_a_scorer_are_points_without_figures():
    cells = batches()
    tests = [("cells", cells, cells.test)]
    found = across(PcaKde(components=40), cells, ("a", fitted_rows(cells, ["a"])), tests, SETTINGS)
    assert [each["image_auroc"] for each in found] == [None, None]
    assert "need at least" in found[0]["reason"]


def test_groups_that_are_not_there_or_of_one_kind_are_refused():
    cells = batches()
    with pytest.raises(InputError, match=r"cells has no training image of group 'c'; .*: a, b"):
        fitted_rows(cells, ["a", "c"])
    cells.groups[cells.labels == 1] = "a"
    with pytest.raises(InputError, match="groups b are not of both kinds"):
        judging_rows(cells, ["b"])
