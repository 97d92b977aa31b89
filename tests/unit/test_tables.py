"""The report shows each figure where a reader of the published tables expects it."""

import numpy as np
import pandas as pd
import pytest

from defectbench.reports.details import details
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.tables import report

PUBLISHED = pd.DataFrame(
    [
        ("dfkde", "resnet18", "average", "image_auroc", 0.762),
        ("dfkde", "resnet18", "bottle", "image_auroc", 0.951),
        ("dfkde", "resnet18", "cable", "image_auroc", 0.775),
        ("dfkde", "resnet18", "bottle", "oracle_f1", 0.942),
        ("dfkde", "resnet18", "bottle", "oracle_true_positives", 60),
        ("dfkde", "resnet18", "bottle", "oracle_false_positives", 1),
        ("dfkde", "resnet18", "cable", "oracle_true_positives", 59),
        ("dfkde", "resnet18", "cable", "oracle_false_positives", 1),
    ],
    columns=["method", "backbone", "category", "metric", "value"],
)


def metrics(category: str, method: str, auroc: float | None) -> dict:
    figures = {"image_auroc": auroc, "aupr": 0.5, "trivial_f1": 0.86}
    for threshold, f1 in (("oracle", 0.9), ("honest", 0.7)):
        figures |= {
            f"{threshold}_f1": f1,
            f"{threshold}_balanced_accuracy": 0.8,
            f"{threshold}_false_positive_rate": 0.05,
            f"{threshold}_true_positives": 60,
            f"{threshold}_false_positives": 1,
            f"{threshold}_false_negatives": 3,
            f"{threshold}_true_negatives": 19,
        }
    return {
        "category": category,
        "method": method,
        "backbone": "resnet18",
        "seed": 42,
        "false_positive_rate": 0.05,
        "images": {"train": 209, "test_good": 20, "test_defective": 63},
        "metrics": figures,
        "intervals": {} if auroc is None else {"image_auroc": [auroc - 0.02, auroc + 0.02]},
        "defects": [
            {"defect": "broken", "images": 63, "image_auroc": 0.9, "called_defective": 0.5},
            {"defect": "good", "images": 20, "image_auroc": None, "called_defective": 0.05},
        ],
        "worst": [{"path": "test/broken/007.png", "anomaly_score": -3.5, "rank_error": 0.25}],
        "provenance": {
            "device": "CPU",
            "versions": {"torch": "2.15.0"},
            "dataset_sha256": "d1" * 8,
            "weights_sha256": "e2" * 32,
            "scorer": "pca_kde",
            "parameters": {"components": 16},
            "layer": "avgpool/pool1",
            "preprocessing": {"interpolation": "bilinear", "size": 256},
            "code_scorer": "f3" * 8,
        },
    }


def replicates(entry: dict) -> dict[str, np.ndarray]:
    auroc = entry["metrics"]["image_auroc"]
    return {} if auroc is None else {"image_auroc": auroc + np.linspace(-0.02, 0.02, 101)}


def results(entries: list[dict], categories: list[str]) -> Results:
    spread = [replicates(entry) for entry in entries]
    tidy = tidy_results(entries, spread, PUBLISHED)
    return Results("mvtec", categories, entries, tidy, paired_differences(entries, spread))


def rows(text: str, heading: str) -> list[list[str]]:
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [table[0], *table[2:]]


BOTH = [metrics("bottle", "dfkde", 0.95), metrics("cable", "dfkde", 0.75)]


def test_average_comes_first_then_categories_with_interval_published_and_difference():
    assert rows(report(results(BOTH, ["bottle", "cable"])), "Image AUROC") == [
        ["method", "backbone", "figure", "average", "bottle", "cable"],
        ["dfkde", "resnet18", "measured", "0.850", "0.950", "0.750"],
        ["", "", "95 % interval", "0.831–0.869", "0.930–0.970", "0.730–0.770"],
        ["", "", "published", "0.762", "0.951", "0.775"],
        ["", "", "difference", "+0.088", "-0.001", "-0.025"],
    ]


def test_agreement_with_the_published_cells_is_counted():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert "1 of 2 cells agree with the published figure to ±0.005." in text
    assert "1 of 2 oracle matrices are identical to the published ones." in text


def test_nothing_published_means_no_published_row():
    table = rows(report(results([metrics("bottle", "fre", 0.9)], ["bottle"])), "Image AUROC")
    assert [row[2] for row in table[1:]] == ["measured", "95 % interval"]


def test_missing_categories_are_marked_and_the_average_says_so():
    text = report(results(BOTH[:1], ["bottle", "cable"]))
    assert "1 of 2 categories" in text
    assert "not in this run (cable)" in text
    table = rows(text, "Image AUROC")
    assert table[0][3:] == ["average of 1 of 2", "bottle", "cable"]
    assert table[1][3:] == ["0.950", "0.950", "–"]
    assert table[3][2:] == ["published", "–", "0.951", "–"]


def test_an_undefined_metric_is_marked_and_left_out_of_the_average():
    entries = [metrics("bottle", "fre", 0.9), metrics("cable", "fre", None)]
    table = rows(report(results(entries, ["bottle", "cable"])), "Image AUROC")
    assert table[1] == ["fre", "resnet18", "measured", "0.900 (of 1)", "0.900", "–"]
    assert table[2][3:] == ["0.881–0.919", "0.880–0.920", "–"]


def test_honest_oracle_and_trivial_figures_cannot_be_mistaken():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert rows(text, "F1")[1:] == [
        ["everything is defective", "", "no detector", "0.860", "0.860", "0.860"],
        ["dfkde", "resnet18", "honest threshold", "0.700", "0.700", "0.700"],
        ["", "", "oracle threshold", "0.900", "0.900", "0.900"],
        ["", "", "published", "–", "0.942", "–"],
        ["", "", "difference", "–", "-0.042", "–"],
    ]
    assert "at most 5.0% of them" in text
    assert rows(text, "False-positive rate")[1][3:] == ["0.050", "0.050", "0.050"]


def test_confusion_matrices_stand_beside_the_published_ones():
    assert rows(report(results(BOTH, ["bottle", "cable"])), "Confusion matrix")[1:] == [
        ["dfkde", "resnet18", "honest threshold", "60 / 1 / 3 / 19", "60 / 1 / 3 / 19"],
        ["", "", "oracle threshold", "60 / 1 / 3 / 19", "60 / 1 / 3 / 19"],
        ["", "", "published (oracle)", "60 / 1 / 3 / 19", "59 / 1 / 4 / 19"],
    ]


def test_differences_are_paired():
    entries = [*BOTH, metrics("bottle", "fre", 0.99), metrics("cable", "fre", 0.70)]
    table = rows(report(results(entries, ["bottle", "cable"])), "Differences in image AUROC")
    # both spread alike over the same resamples, so their difference does not spread at all
    assert table[1] == [
        "dfkde resnet18",
        "fre resnet18",
        "+0.005 (+0.005 to +0.005)",
        "-0.040 (-0.040 to -0.040)",
        "+0.050 (+0.050 to +0.050)",
    ]


def test_header_counts_images_and_names_seed_versions_and_device():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert "(418/40/126)" in text
    assert "Seed 42; torch 2.15.0, on CPU" in text


def test_the_report_ends_with_what_made_it():
    text = report(results(BOTH, ["bottle", "cable"])).split("## What made this")[1]
    for expected in ("d1" * 8, "e2" * 8, "f3" * 8, "components: 16", "avgpool/pool1", "bilinear"):
        assert expected in text


def test_details_show_defect_types_and_worst_images():
    text = details(results(BOTH, ["bottle", "cable"]))
    assert rows(text, "bottle")[1:3] == [
        ["dfkde", "resnet18", "broken", "63", "0.900", "50.0%"],
        ["dfkde", "resnet18", "good", "20", "–", "5.0%"],
    ]
    assert "| test/broken/007.png |" in text


def test_tidy_results_have_one_row_per_figure():
    tidy = tidy_results(BOTH, [replicates(entry) for entry in BOTH], PUBLISHED)
    found = tidy.set_index(["category", "metric"])
    assert len(tidy) == 2 * 17 + 9
    assert found.loc[("average", "image_auroc"), "value"] == pytest.approx(0.85)
    assert found.loc[("average", "image_auroc"), "categories"] == 2
    assert found.loc[("bottle", "image_auroc"), "published"] == 0.951
    assert ("average", "oracle_true_positives") not in found.index
