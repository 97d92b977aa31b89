"""The report shows each figure where a reader of the published tables expects it."""

import pandas as pd
import pytest

from defectbench.tables import markdown_report, tidy_results

PUBLISHED = pd.DataFrame(
    [
        ("dfkde", "resnet18", "average", "image_auroc", 0.762),
        ("dfkde", "resnet18", "bottle", "image_auroc", 0.951),
        ("dfkde", "resnet18", "cable", "image_auroc", 0.751),
    ],
    columns=["method", "backbone", "category", "metric", "value"],
)


def metrics(category: str, method: str, auroc: float | None) -> dict:
    return {
        "category": category,
        "method": method,
        "backbone": "resnet18",
        "seed": 42,
        "images": {"train": 209, "test_good": 20, "test_defective": 63},
        "metrics": {
            "image_auroc": auroc,
            "aupr": 0.5,
            "f1": 0.9,
            "balanced_accuracy": 0.8,
            "true_positives": 60,
            "false_positives": 1,
            "false_negatives": 3,
            "true_negatives": 19,
        },
        "provenance": {"device": "CPU", "versions": {"torch": "2.15.0"}},
    }


def report(entries: list[dict], categories: list[str]) -> str:
    return markdown_report("mvtec", categories, entries, tidy_results(entries, PUBLISHED))


def rows(text: str, heading: str) -> list[list[str]]:
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


BOTH = [metrics("bottle", "dfkde", 0.95), metrics("cable", "dfkde", 0.75)]


def test_average_comes_first_then_the_categories_with_published_and_difference():
    table = rows(report(BOTH, ["bottle", "cable"]), "Image AUROC")
    assert table[0] == ["method", "backbone", "average", "bottle", "cable"]
    assert table[2:] == [
        ["dfkde", "resnet18", "0.850", "0.950", "0.750"],
        ["", "published", "0.762", "0.951", "0.751"],
        ["", "difference", "+0.088", "-0.001", "-0.001"],
    ]


def test_nothing_published_means_one_row():
    table = rows(report([metrics("bottle", "fre", 0.9)], ["bottle"]), "Image AUROC")
    assert table[2:] == [["fre", "resnet18", "0.900", "0.900"]]


def test_missing_categories_are_marked_and_the_average_says_so():
    text = report(BOTH[:1], ["bottle", "cable"])
    assert "1 of 2 categories" in text
    assert "not in this run (cable)" in text
    table = rows(text, "Image AUROC")
    assert table[0] == ["method", "backbone", "average of 1 of 2", "bottle", "cable"]
    assert table[2] == ["dfkde", "resnet18", "0.950", "0.950", "–"]
    assert table[3] == ["", "published", "–", "0.951", "–"]


def test_an_undefined_metric_is_marked_and_left_out_of_the_average():
    entries = [metrics("bottle", "fre", 0.9), metrics("cable", "fre", None)]
    table = rows(report(entries, ["bottle", "cable"]), "Image AUROC")
    assert table[2] == ["fre", "resnet18", "0.900 (of 1)", "0.900", "–"]


def test_header_counts_images_and_names_seed_versions_and_device():
    text = report(BOTH, ["bottle", "cable"])
    assert "(418/40/126)" in text
    assert "Seed 42" in text
    assert "torch 2.15.0, on CPU" in text


def test_confusion_matrix_is_shown():
    table = rows(report(BOTH, ["bottle", "cable"]), "Confusion matrix at the oracle threshold")
    assert table[2] == ["dfkde", "resnet18", "60 / 1 / 3 / 19", "60 / 1 / 3 / 19"]


def test_tidy_results_have_one_row_per_figure():
    results = tidy_results(BOTH, PUBLISHED)
    found = results.set_index(["category", "metric"])
    assert len(results) == 2 * 8 + 4
    assert found.loc[("average", "image_auroc"), "value"] == pytest.approx(0.85)
    assert found.loc[("average", "image_auroc"), "categories"] == 2
    assert found.loc[("bottle", "image_auroc"), "published"] == 0.951
