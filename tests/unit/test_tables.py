"""The report shows each figure where a reader of the published tables expects it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from defectbench.facts import FACTS
from defectbench.reports.details import details
from defectbench.reports.notes import notes_by_category
from defectbench.reports.published import Publication, comparable, read_publication
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.tables import report
from defectbench.storage import write_json

SETTINGS = {
    "scorer": "pca_kde",
    "parameters": {"components": 16},
    "layers": ["avgpool/pool1"],
    "preprocessing": {"interpolation": "bilinear", "size": 256},
    "precision": "fp32",
}
PUBLISHED = Publication(
    figures=pd.DataFrame(
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
    ),
    settings={"dfkde": SETTINGS},
    images={
        "bottle": {"train_good": 209, "test_good": 20, "test_defective": 63},
        "cable": {"train_good": 209, "test_good": 20, "test_defective": 63},
    },
    weights={"resnet18": "e2e2"},
)


def metrics(category: str, method: str, auroc: float | None) -> dict:
    figures = {"image_auroc": auroc, "aupr": 0.5, "trivial_f1": 0.66}
    for threshold, f1 in (("oracle", 0.9), ("honest", 0.7)):
        figures |= {
            f"{threshold}_f1": f1,
            f"{threshold}_balanced_accuracy": 0.8,
            f"{threshold}_recall": 0.75,
            f"{threshold}_false_positive_rate": 0.05,
            f"{threshold}_true_positives": 60,
            f"{threshold}_false_positives": 1,
            f"{threshold}_false_negatives": 3,
            f"{threshold}_true_negatives": 19,
        }
    intervals = {"honest_f1": [0.6, 0.8], "honest_recall": [0.7, 0.8]}
    if auroc is not None:
        intervals["image_auroc"] = [auroc - 0.02, auroc + 0.02]
    return {
        "category": category,
        "method": method,
        "backbone": "resnet18",
        "seed": 42,
        "false_positive_rate": 0.05,
        "images": {"train": 209, "test_good": 20, "test_defective": 63},
        "metrics": figures,
        "intervals": intervals,
        "reasons": {"image_auroc": "no good test image"} if auroc is None else {},
        "thresholds": {"oracle": 1.5, "honest": 1234.5678},
        "held_out_images": 209,
        "cautions": [],
        "flags": {"false_positive_rate": None, "beats_trivial_f1": True},
        "defects": [
            {
                "defect": "broken",
                "images": 63,
                "image_auroc": 0.9,
                "image_auroc_interval": [0.8, 0.95],
                "called_defective": 0.5,
                "called_defective_interval": [0.4, 0.6],
            },
            {
                "defect": "good",
                "images": 20,
                "image_auroc": None,
                "image_auroc_interval": None,
                "called_defective": 0.05,
                "called_defective_interval": [0.0, 0.25],
            },
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
            "precision": "fp32",
            "preprocessing": {"interpolation": "bilinear", "size": 256},
            "code_scorer": "f3" * 8,
        },
    }


def replicates(entry: dict) -> dict[str, np.ndarray]:
    auroc = entry["metrics"]["image_auroc"]
    return {} if auroc is None else {"image_auroc": auroc + np.linspace(-0.02, 0.02, 101)}


def results(
    entries: list[dict], categories: list[str], notes: dict[str, list[str]] | None = None
) -> Results:
    spread = [replicates(entry) for entry in entries]
    figures, incomparable = comparable(PUBLISHED, entries)
    tidy = tidy_results(entries, figures)
    differences = paired_differences(entries, spread)
    return Results("mvtec", categories, entries, tidy, differences, incomparable, notes or {})


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
        ["", "", "95 % interval", "0.836–0.864", "0.930–0.970", "0.730–0.770"],
        ["", "", "published", "0.762", "0.951", "0.775"],
        ["", "", "difference", "+0.088", "-0.001", "-0.025"],
    ]


def test_agreement_with_the_published_cells_is_counted():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert "1 of 2 cells agree with the published figure to ±0.005." in text
    assert "1 of 2 oracle matrices are identical to the published ones." in text


def changed(entry: dict, **provenance: object) -> dict:
    return entry | {"provenance": entry["provenance"] | provenance}


@pytest.mark.parametrize(
    "other",
    [
        {"scorer": "pca_fre"},
        {"parameters": {"components": 32}},
        {"layer": "layer4/pool8"},
        {"preprocessing": {"interpolation": "bilinear", "size": 256, "crop": 224}},
        {"precision": "bf16"},
        {"weights_sha256": "aa" * 32},
    ],
    ids=lambda other: next(iter(other)),
)
def test_figures_made_otherwise_are_not_compared(other: dict):
    text = report(results([changed(entry, **other) for entry in BOTH], ["bottle", "cable"]))
    assert "published figure" not in text
    assert [row[2] for row in rows(text, "Image AUROC")[1:]] == ["measured", "95 % interval"]
    assert "Not compared with the publication: dfkde resnet18:" in text


def test_other_images_are_not_compared_nor_filled_up_with_our_totals():
    entries = [BOTH[0], BOTH[1] | {"images": {"train": 30, "test_good": 5, "test_defective": 9}}]
    text = report(results(entries, ["bottle", "cable"]))
    matrices = rows(text, "Confusion matrix")[3]
    assert matrices[2:] == ["published (oracle)", "60 / 1 / 3 / 19", "not comparable"]
    assert "1 of 1 oracle matrices are identical" in text
    assert "cable: 30/5/9 images, officially 209/20/63" in text
    assert rows(text, "Image AUROC")[3] == ["", "", "published", "–", "0.951", "–"]


def test_the_facts_name_settings_of_what_they_publish():
    files = [FACTS / f"mvtec_{name}" for name in ("published.csv", "published_settings.json")]
    publication = read_publication(*files, FACTS / "mvtec_counts.csv", FACTS / "weights.csv")
    assert {"dfkde", "fre", "fre_b5"} == set(publication.settings)
    assert all(set(each) == set(SETTINGS) for each in publication.settings.values())
    assert publication.settings["dfkde"] == SETTINGS
    found = publication.figures.query("metric == 'oracle_true_positives'")
    assert len(found) == 30
    for row in found.itertuples():
        assert row.value <= publication.images[row.category]["test_defective"]


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


def test_an_undefined_metric_is_marked_left_out_of_the_average_and_given_a_reason():
    entries = [metrics("bottle", "fre", 0.9), metrics("cable", "fre", None)]
    text = report(results(entries, ["bottle", "cable"]))
    table = rows(text, "Image AUROC")
    assert table[1] == ["fre", "resnet18", "measured", "0.900 (of 1)", "0.900", "–"]
    assert table[2][3:] == ["0.880–0.920", "0.880–0.920", "–"]
    assert "–: cable: no good test image." in text


def test_a_figure_of_few_images_leaves_its_interval_standing():
    entry = metrics("bottle", "fre", 0.9) | {"reasons": {"image_auroc": "only 5 good test images"}}
    table = rows(report(results([entry], ["bottle"])), "Image AUROC")
    assert table[1][3:] == ["–", "–"]
    assert table[2][3:] == ["–", "0.880–0.920"]


def test_flags_stand_at_the_name_and_at_the_figure():
    flags = {"false_positive_rate": "above", "beats_trivial_f1": False}
    entries = [BOTH[0] | {"flags": flags}, BOTH[1]]
    text = report(results(entries, ["bottle", "cable"]))
    for heading in ("Image AUROC", "F1", "Defects found"):
        assert "dfkde ▲✗" in [row[0] for row in rows(text, heading)]
    assert rows(text, "False-positive rate")[1][3:] == ["0.050", "0.050 ▲", "0.050"]
    assert rows(text, "F1")[2][3:] == ["0.700", "0.700 ✗", "0.700"]
    assert "asked for (dfkde resnet18 on bottle)." in text


def test_cautions_name_their_categories_once():
    entries = [entry | {"cautions": ["only 9 good test images: too few"]} for entry in BOTH]
    text = report(results(entries, ["bottle", "cable"]))
    assert "- bottle, cable: only 9 good test images: too few." in text
    assert "Cautions" not in report(results(BOTH, ["bottle", "cable"]))


def test_thresholds_are_in_the_scores_own_unit():
    table = rows(report(results(BOTH, ["bottle", "cable"])), "Thresholds")
    assert table[1:] == [
        ["dfkde", "resnet18", "honest threshold", "1234.57", "1234.57"],
        ["", "", "held-out images", "209", "209"],
    ]


def test_notes_of_the_index_and_of_the_held_out_scores_are_printed(tmp_path: Path):
    detector = tmp_path / "bottle" / "dfkde" / "resnet18"
    write_json(tmp_path / "bottle" / "notes.json", ["2 images are copies of others"])
    write_json(detector / "held_out_check.json", {"warnings": ["near-duplicates"]})
    notes = notes_by_category(
        [tmp_path / "bottle" / "notes.json"], [detector / "held_out_check.json"]
    )
    text = report(results(BOTH, ["bottle", "cable"], notes))
    section = text.split("## Worth knowing about the images\n\n")[1].split("\n\n")[0]
    assert section.splitlines() == [
        "- bottle: 2 images are copies of others",
        "- bottle: dfkde resnet18: near-duplicates",
    ]
    assert "Worth knowing" not in report(results(BOTH, ["bottle", "cable"], {"bottle": []}))


def test_worst_images_are_not_said_to_rank_well_against_nothing():
    images = {"train": 20, "test_good": 0, "test_defective": 63}
    entry = metrics("bottle", "fre", None) | {"images": images, "worst": []}
    text = details(results([entry], ["bottle"]))
    assert "–: no good test image to rank against." in text
    assert "above every good one" not in text


def test_honest_oracle_and_trivial_figures_cannot_be_mistaken():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert rows(text, "F1")[1:] == [
        ["everything is defective", "", "no detector", "0.660", "0.660", "0.660"],
        ["dfkde", "resnet18", "honest threshold", "0.700", "0.700", "0.700"],
        ["", "", "95 % interval", "0.629–0.771", "0.600–0.800", "0.600–0.800"],
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
    # both err alike on the same resamples, so their difference does not vary at all
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
        ["dfkde", "resnet18", "broken", "63", "0.900 (0.800–0.950)", "50.0% (40.0%–60.0%)"],
        ["dfkde", "resnet18", "good", "20", "–", "5.0% (0.0%–25.0%)"],
    ]
    assert "| test/broken/007.png |" in text


def test_tidy_results_have_one_row_per_figure():
    tidy = results(BOTH, ["bottle", "cable"]).tidy
    found = tidy.set_index(["category", "metric"])
    assert len(tidy) == 2 * 22 + 11
    assert found.loc[("average", "image_auroc"), "value"] == pytest.approx(0.85)
    assert found.loc[("average", "image_auroc"), "categories"] == 2
    assert found.loc[("bottle", "image_auroc"), "published"] == 0.951
    assert found.loc[("bottle", "honest_threshold"), "value"] == 1234.5678
    assert found.loc[("bottle", "held_out_images"), "value"] == 209
    assert tuple(found.loc[("bottle", "honest_f1"), ["low", "high"]]) == (0.6, 0.8)
    for metric in ("oracle_true_positives", "honest_threshold", "held_out_images"):
        assert ("average", metric) not in found.index
