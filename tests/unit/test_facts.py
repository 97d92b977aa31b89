"""Facts from elsewhere hang together."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from defectbench.evaluation.image_metrics import Confusion

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "workflow" / "facts"
PUBLISHED = pd.read_csv(FACTS / "mvtec_published.csv")
COUNTS = pd.read_csv(FACTS / "mvtec_counts.csv").set_index("category")
CATEGORIES = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["mvtec"][
    "all_categories"
]


def dfkde_cells() -> list[tuple[str, str]]:
    found = PUBLISHED[(PUBLISHED["method"] == "dfkde") & (PUBLISHED["category"] != "average")]
    return sorted({*zip(found["backbone"], found["category"], strict=True)})


def test_every_category_has_counts_and_an_address():
    assert sorted(COUNTS.index) == CATEGORIES
    assert sorted(pd.read_csv(FACTS / "mvtec_sources.csv")["category"]) == sorted(
        ["all", *CATEGORIES]
    )


def test_counts_are_the_official_totals():
    assert COUNTS.sum().tolist() == [3629, 467, 1258]


def test_both_dfkde_backbones_are_published_for_all_categories():
    assert dfkde_cells() == [
        (backbone, category)
        for backbone in ("resnet18", "wide_resnet50_2")
        for category in CATEGORIES
    ]


@pytest.mark.parametrize(("backbone", "category"), dfkde_cells())
def test_published_confusion_matrix_gives_the_published_figures(backbone: str, category: str):
    cell = PUBLISHED[
        (PUBLISHED["method"] == "dfkde")
        & (PUBLISHED["backbone"] == backbone)
        & (PUBLISHED["category"] == category)
    ].set_index("metric")["value"]
    good, defective = COUNTS.loc[category, ["test_good", "test_defective"]]
    true, false = cell["oracle_true_positives"], cell["oracle_false_positives"]
    confusion = Confusion(true, false, defective - true, good - false)
    # some published figures are cut, not rounded, to three digits
    assert confusion.f1 == pytest.approx(cell["oracle_f1"], abs=0.001)
    assert confusion.balanced_accuracy == pytest.approx(cell["oracle_balanced_accuracy"], abs=0.001)


def test_published_averages_are_those_of_the_categories():
    dfkde = PUBLISHED[PUBLISHED["method"] == "dfkde"]
    for (_, metric), group in dfkde.groupby(["backbone", "metric"]):
        if metric in ("image_auroc", "oracle_balanced_accuracy", "oracle_f1"):
            average = group.loc[group["category"] == "average", "value"].item()
            mean = group.loc[group["category"] != "average", "value"].mean()
            assert average == pytest.approx(mean, abs=0.0012)
