"""The report shows each figure where a reader of the published tables expects it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_results import made_metrics
from specifications import specification

from defectbench.config.plan import method_layers, scorer_parameters
from defectbench.evaluation.averages import paired_differences, tidy_results
from defectbench.evaluation.cells import CellResults, average_seeds
from defectbench.provenance import FACTS
from defectbench.reports.details import details
from defectbench.reports.published import Publication, comparable, read_publication, remarks
from defectbench.reports.results import Results, notes_by_category
from defectbench.reports.tables import report
from defectbench.storage import read_json, write_json

ROOT = Path(__file__).parents[2]

SETTINGS = {
    "scorer": "pca_kde",
    "parameters": {"components": 16},
    "layers": ["avgpool/pool1"],
    "preprocessing": {"interpolation": "bilinear", "size": 256},
    "precision": "fp32",
    "storage": "fp32",
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


WORST = {"path": "test/broken/007.png", "anomaly_score": -3.5, "rank_error": 0.25}
WORST |= {"good_below": 0.0417}


def metrics(category: str, method: str, auroc: float | None) -> dict:
    """A detector's metrics, made as the published ones were."""
    made = {"weights_sha256": "e2" * 32, "code": {"scorer": "f3" * 8}}
    return made_metrics(
        category,
        method,
        auroc,
        seed=42,
        specification=specification(**SETTINGS, versions={"torch": "2.15.0"}, **made),
        defects=[
            {
                "defect": defect,
                "images": images,
                "image_auroc": 0.9 if interval else None,
                "image_auroc_interval": interval,
                "called_defective": called,
                "called_defective_interval": [0.0, 0.25],
            }
            for defect, images, interval, called in (
                ("broken", 63, [0.8, 0.95], 0.5),
                ("good", 20, None, 0.05),
            )
        ],
        worst=[
            {
                "path": "test/broken/007.png",
                "anomaly_score": -3.5,
                "rank_error": 0.25,
                "good_below": 0.0417,
            }
        ],
    )


def cell(entry: dict) -> CellResults:
    """A cell of these metrics, resampled as all others are."""
    auroc = entry["metrics"]["image_auroc"]
    spread = {} if auroc is None else {"image_auroc": auroc + np.linspace(-0.02, 0.02, 101)}
    return CellResults(entry, None, None, {}, None, spread)


def results(
    entries: list[dict], categories: list[str], notes: dict[str, list[str]] | None = None
) -> Results:
    figures, incomparable = comparable(PUBLISHED, entries)
    tidy = tidy_results(entries, figures)
    differences = paired_differences(list(map(cell, entries)))
    return Results("mvtec", categories, entries, tidy, differences, incomparable, notes or {})


def tables(text: str, heading: str) -> list[list[list[str]]]:
    """Cells of each table of a section."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = []
    for paragraph in section.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.startswith("|")]
        cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        if cells:
            found.append([cells[0], *cells[2:]])
    return found


def rows(text: str, heading: str) -> list[list[str]]:
    return tables(text, heading)[0]


def column(text: str, heading: str) -> list[str]:
    """The last detector's figures."""
    return [row[-1] for row in rows(text, heading)[1:]]


BOTH = [metrics("bottle", "dfkde", 0.95), metrics("cable", "dfkde", 0.75)]


def test_figures_stand_by_category_with_interval_and_the_published_ones_below():
    measured, published = tables(report(results(BOTH, ["bottle", "cable"])), "Image AUROC")
    assert measured == [
        ["", "dfkde resnet18"],
        ["average", "0.850 (0.836–0.864)"],
        ["bottle", "0.950 (0.930–0.970)"],
        ["cable", "0.750 (0.730–0.770)"],
    ]
    assert [row[1] for row in published[1:]] == [
        "0.762 (+0.088)",
        "0.951 (-0.001)",
        "0.775 (-0.025)",
    ]


def test_the_largest_figures_of_each_category_are_in_bold():
    entries = [*BOTH, metrics("bottle", "fre", 0.9504), metrics("cable", "fre", None)]
    entries += [metrics("bottle", "knn", 0.8), metrics("cable", "knn", None)]
    table = rows(report(results(entries, ["bottle", "cable"])), "Image AUROC")
    # averages over different categories; equal as printed; the only one
    assert [[text.startswith("**") for text in row[1:]] for row in table[1:]] == [
        [False, False, False],
        [True, True, False],
        [False, False, False],
    ]


def test_more_detectors_than_categories_stand_below_each_other():
    entries = [metrics("bottle", name, 0.9) for name in ("dfkde", "fre", "padim")]
    table = rows(report(results(entries, ["bottle"])), "Image AUPR")
    assert table[0] == ["", "average", "bottle"]
    assert [row[0] for row in table[1:]] == ["dfkde resnet18", "fre resnet18", "padim resnet18"]


def test_no_row_is_wider_than_a_page():
    categories = [f"category_{place:02}" for place in range(15)]
    names = [f"a_detector_with_a_name_{place}" for place in range(6)]
    text = report(results([metrics(c, n, 0.9) for c in categories for n in names], categories))
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= 200
    shown = tables(text, "Image AUROC")
    assert len(shown) > 1
    assert sum(len(table[0]) - 1 for table in shown) == len(names)
    assert {table[1][0] for table in shown} == {"average"}


def test_names_are_no_markup():
    entry = metrics("a|b <i>", "fre", 0.9)
    assert rows(report(results([entry], ["a|b <i>"])), "Image AUROC")[2][0] == "a\\|b &lt;i>"


def test_agreement_with_the_published_figures_is_counted():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert "1 of 2 cells agree with the published figure to ±0.005." in text
    assert "1 of 2 oracle matrices are identical to the published ones." in text


def changed(entry: dict, **made: object) -> dict:
    return entry | {"specification": entry["specification"] | made}


@pytest.mark.parametrize(
    "other",
    [
        {"scorer": "pca_fre"},
        {"parameters": {"components": 32}},
        {"layers": ["layer4/pool8"]},
        {"preprocessing": {"interpolation": "bilinear", "size": 256, "crop": 224}},
        {"precision": "bf16"},
        {"storage": "fp16"},
        {"weights_sha256": "aa" * 32},
    ],
    ids=lambda other: next(iter(other)),
)
def test_figures_made_otherwise_are_not_compared(other: dict):
    text = report(results([changed(entry, **other) for entry in BOTH], ["bottle", "cable"]))
    assert "published figure" not in text
    assert len(tables(text, "Image AUROC")) == 1
    assert "Not compared with the publication: dfkde resnet18:" in text


def test_weights_that_nobody_listed_are_not_taken_for_the_published_ones():
    figures, refused = comparable(PUBLISHED._replace(weights={}), BOTH)
    assert figures.empty
    assert refused == ["dfkde resnet18: the published weights of this backbone are not known here"]


TESTED = {"test_good": 5, "test_defective": 9}


def test_other_images_are_not_compared_nor_filled_up_with_our_totals():
    entries = [BOTH[0], BOTH[1] | {"images": {"train": 30, "calibration": 0} | TESTED}]
    shown = results(entries, ["bottle", "cable"])
    assert tables(details(shown), "bottle")[1][1][4] == "60 / 1 / 3 / 19"
    assert "published (oracle)" not in tables(details(shown), "cable")[1][0]
    text = report(shown)
    assert "1 of 1 oracle matrices are identical" in text
    assert "cable: 30/5/9 images, officially 209/20/63" in text
    published = tables(text, "Image AUROC")[1]
    assert [row[1] for row in published[1:]] == ["–", "0.951 (-0.001)", "–"]


def test_the_facts_name_settings_of_what_they_publish():
    files = [FACTS / f"mvtec_{name}" for name in ("published.csv", "published_settings.json")]
    publication = read_publication([*files, FACTS / "mvtec_counts.csv", FACTS / "weights.csv"])
    assert {*publication.figures["method"]} == set(publication.settings)
    for each in publication.settings.values():
        assert set(each) - {"resolution", "remark"} == set(SETTINGS)
    assert publication.settings["dfkde"] == SETTINGS
    found = publication.figures.query("metric == 'oracle_true_positives'")
    assert len(found) == 30
    for row in found.itertuples():
        assert row.value <= publication.images[row.category]["test_defective"]


def test_the_projects_methods_are_made_as_the_facts_say():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for name, theirs in read_json(FACTS / "mvtec_published_settings.json").items():
        method = config["methods"][name]
        layers = [f"{layer}/pool{method.get('pool', 1)}" for layer in method_layers(method)]
        assert (method["scorer"], layers) == (theirs["scorer"], theirs["layers"])
        assert scorer_parameters(config, name) == theirs["parameters"]
        assert config["preprocessings"][method["preprocessing"]] == theirs["preprocessing"]
        assert method.get("resolution") == theirs.get("resolution")


def test_nothing_published_means_no_published_figures():
    text = report(results([metrics("bottle", "fre", 0.9)], ["bottle"]))
    assert len(tables(text, "Image AUROC")) == 1
    assert "ublished, and in brackets" not in text


def test_categories_that_it_does_not_cover_have_no_row_and_the_average_says_so():
    text = report(results(BOTH[:1], ["bottle", "cable"]))
    measured, published = tables(text, "Image AUROC")
    assert [row[0] for row in measured[1:]] == ["average of 1 of 2", "bottle"]
    assert [row[1].split()[0] for row in measured[1:]] == ["0.950", "0.950"]
    assert [row[1] for row in published[1:]] == ["–", "0.951 (-0.001)"]


def test_an_undefined_metric_is_marked_left_out_of_the_average_and_given_a_reason():
    entries = [metrics("bottle", "fre", 0.9), metrics("cable", "fre", None)]
    text = report(results(entries, ["bottle", "cable"]))
    expected = ["0.900 (of 1; 0.880–0.920)", "0.900 (0.880–0.920)", "–"]
    assert column(text, "Image AUROC") == expected
    assert "–: cable: no good test image." in text


def test_a_figure_of_few_images_leaves_its_interval_standing():
    entry = metrics("bottle", "fre", 0.9) | {"reasons": {"image_auroc": "only 5 good test images"}}
    text = report(results([entry], ["bottle"]))
    assert column(text, "Image AUROC") == ["–", "– (0.880–0.920)"]


def test_flags_stand_at_the_name_and_at_the_figure():
    entries = [BOTH[0] | {"flags": ["above", "useless", "few_good"]}, BOTH[1]]
    text = report(results(entries, ["bottle", "cable"]))
    for heading in ("Image AUROC", "F1 at the honest threshold", "Defects found"):
        assert "dfkde resnet18 ▲✗" in rows(text, heading)[0]
    assert column(text, "False-positive rate") == ["0.050", "0.050 ▲", "0.050"]
    assert column(text, "F1 at the honest threshold")[1:] == [
        "0.700 (0.600–0.800) ✗",
        "0.700 (0.600–0.800)",
    ]
    assert "let expect (dfkde resnet18 on bottle)." in text


def test_cautions_name_their_categories_once():
    entries = [entry | {"cautions": ["only 9 good test images: too few"]} for entry in BOTH]
    text = report(results(entries, ["bottle", "cable"]))
    assert "- bottle, cable: only 9 good test images: too few." in text
    assert "Cautions" not in report(results(BOTH, ["bottle", "cable"]))


def test_thresholds_are_in_the_scores_own_unit():
    text = report(results(BOTH, ["bottle", "cable"]))
    assert column(text, "Thresholds") == ["1234.57", "1234.57"]


def test_notes_of_the_index_and_of_the_held_out_scores_are_printed(tmp_path: Path):
    of_category = tmp_path / "bottle" / "notes.json"
    write_json(of_category, ["2 images are copies of others"])
    checks = [tmp_path / "bottle" / name / "net" / "held_out_check.json" for name in ("a", "b")]
    for check, warnings in zip(checks, (["one"], ["two", "one"]), strict=True):
        write_json(check, {"warnings": warnings})
    notes = notes_by_category([str(of_category)], map(str, checks))
    text = report(results(BOTH, ["bottle", "cable"], notes))
    section = text.split("## Worth knowing about the images\n\n")[1].split("\n\n")[0]
    assert section.splitlines() == [
        "- bottle: 2 images are copies of others",
        "- bottle: a net, b net: one",
        "- bottle: b net: two",
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
    assert rows(text, "F1 at the honest threshold")[:3] == [
        ["", "everything is defective", "dfkde resnet18"],
        ["average", "0.660", "0.700 (0.629–0.771)"],
        ["bottle", "0.660", "0.700 (0.600–0.800)"],
    ]
    measured, published = tables(text, "F1 at the oracle threshold")
    assert [row[1] for row in measured[1:]] == ["0.900", "0.900", "0.900"]
    assert [row[1] for row in published[1:]] == ["–", "0.942 (-0.042)", "–"]
    assert "for a false-positive rate of 5.0% on new images by the rule *average*" in text
    assert "4.76 % on average (2.3–8 %); 9 of 209 images above it, one more with 10 more" in text
    assert column(text, "False-positive rate") == ["0.050", "0.050", "0.050"]


def test_confusion_matrices_stand_beside_the_published_ones():
    text = details(results(BOTH, ["bottle", "cable"]))
    assert tables(text, "bottle")[1] == [
        ["method", "backbone", "honest threshold", "oracle threshold", "published (oracle)"],
        ["dfkde", "resnet18", "60 / 1 / 3 / 19", "60 / 1 / 3 / 19", "60 / 1 / 3 / 19"],
    ]
    assert tables(text, "cable")[1][1][4] == "59 / 1 / 4 / 19"


def test_differences_are_paired_and_marked_where_they_exclude_0():
    entries = [*BOTH, metrics("bottle", "fre", 0.99), metrics("cable", "fre", 0.70)]
    # both err alike on the same resamples, so their difference does not vary at all
    assert rows(report(results(entries, ["bottle", "cable"])), "Differences in image AUROC") == [
        ["", "dfkde resnet18 − fre resnet18"],
        ["average", "**+0.005** (+0.005 to +0.005)"],
        ["bottle", "**-0.040** (-0.040 to -0.040)"],
        ["cable", "**+0.050** (+0.050 to +0.050)"],
    ]


PIXELS = {
    "resolution": 256,
    "pixel_threshold": 3.5,
    "reason": "",
    "metrics": {
        "pixel_auroc": 0.9801,
        "pixel_aupr": 0.6,
        "aupro_0.3": 0.95,
        "aupro_0.05": 0.8,
        "honest_pixel_false_positive_rate": 0.01,
    },
    "intervals": {
        "pixel_auroc": [0.97, 0.99],
        "pixel_aupr": [0.5, 0.7],
        "aupro_0.3": [0.9, 0.98],
        "aupro_0.05": [0.7, 0.9],
    },
    "specification": specification(code={"pixel metrics": "a7" * 8}),
}
NO_MASKS = PIXELS | {
    "reason": "no defective image has a mask",
    "metrics": dict.fromkeys(("pixel_auroc", "pixel_aupr", "aupro_0.3", "aupro_0.05")),
    "intervals": {},
}


def test_pixel_metrics_stand_beside_the_image_metrics():
    maps = [metrics("bottle", "fre", 0.9) | {"pixels": PIXELS}]
    maps.append(metrics("cable", "fre", 0.9) | {"pixels": NO_MASKS})
    shown = results([*BOTH, *maps], ["bottle", "cable"])
    text = report(shown)
    assert rows(text, "Pixel AUROC")[0] == ["", "fre resnet18"]
    expected = ["0.980 (of 1; 0.970–0.990)", "0.980 (0.970–0.990)", "–"]
    assert column(text, "Pixel AUROC") == expected
    for title, expected in (
        ("AUPRO to 0.3", "0.950 (0.900–0.980)"),
        ("AUPRO to 0.05", "0.800 (0.700–0.900)"),
        ("Pixel average precision", "0.600 (0.500–0.700)"),
    ):
        assert column(text, title) == [expected.replace("(", "(of 1; "), expected, "–"]
    assert "oo few to tell" not in text
    assert "–: cable: no defective image has a mask." in text
    assert "resolution: 256×256." in text
    assert "Without maps: dfkde resnet18." in text
    assert "a7" * 8 in text
    tidy = shown.tidy.set_index(["category", "metric"])
    assert tidy.loc[("bottle", "pixel_threshold"), "value"] == 3.5
    assert tidy.loc[("cable", "aupro_0.3"), "reason"] == "no defective image has a mask"


def test_a_pixel_figure_of_too_few_images_says_so_in_place_of_its_interval():
    maps = [metrics("bottle", "fre", 0.9) | {"pixels": PIXELS}]
    maps.append(metrics("cable", "fre", 0.9) | {"pixels": PIXELS | {"intervals": {}}})
    text = report(results(maps, ["bottle", "cable"]))
    assert column(text, "Pixel AUROC") == [
        "0.980 (too few to tell)",
        "0.980 (0.970–0.990)",
        "0.980 (too few to tell)",
    ]
    assert "*Too few to tell*: a class has one independent image" in text


def seeded(seed: int, auroc: float, pixel_auroc: float) -> dict:
    entry = metrics("bottle", f"padim@{seed}", auroc)
    pixels = PIXELS | {"metrics": PIXELS["metrics"] | {"pixel_auroc": pixel_auroc}}
    flags = ["above"] if seed == 43 else []
    rates = {42: (0.2, [0.1, 0.3]), 43: (0.3, [0.2, 0.4])}
    at_rate = dict(zip(("escape_rate", "escape_rate_interval"), rates[seed], strict=True))
    own = {"pixels": pixels, "flags": flags, "at_rate": entry["at_rate"] | at_rate}
    return changed(entry, parameters={"seed": seed}) | own


def test_several_seeds_of_a_detector_become_mean_and_deviation():
    entries = [metrics("bottle", "fre", 0.9), seeded(42, 0.90, 0.96), seeded(43, 0.94, 0.98)]
    entries[2]["thresholds"] = {"oracle": 1.5, "honest": 1300.0}
    cells = average_seeds(list(map(cell, entries)))
    assert [each.detector for each in cells] == ["fre resnet18", "padim resnet18"]
    spread = cells[1].replicates["image_auroc"]
    assert np.allclose(spread, 0.92 + np.linspace(-0.02, 0.02, 101))
    at_rate = cells[1].metrics["at_rate"]
    assert (at_rate["escape_rate"], at_rate["escape_rate_interval"]) == (
        pytest.approx(0.25),
        pytest.approx([0.15, 0.35]),
    )
    text = report(results([each.metrics for each in cells], ["bottle"]))
    assert rows(text, "Image AUROC")[2] == [
        "bottle",
        "0.900 (0.880–0.920)",
        "**0.920** ± 0.028 (0.900–0.940)",
    ]
    assert rows(text, "Image AUROC")[0][2] == "padim resnet18 ▲"
    assert rows(text, "Pixel AUROC")[2][1] == "0.970 ± 0.014 (0.970–0.990)"
    assert "with the seeds 42, 43" in text
    assert "1234.57 (seeds: 1234.57–1300)" in text
    assert "seed: [42, 43]" in text


def test_without_several_seeds_nothing_is_averaged():
    entry = metrics("bottle", "padim", 0.9)
    one = cell(entry)
    assert average_seeds([one]) == [one]
    assert "±" not in rows(report(results([entry], ["bottle"])), "Image AUROC")[1][1]


def test_a_dataset_without_masks_says_so_once():
    text = report(results([metrics("bottle", "fre", 0.9) | {"pixels": NO_MASKS}], ["bottle"]))
    section = text.split("## Pixel metrics\n\n")[1].split("\n## ")[0]
    assert section.strip() == "–: bottle: no defective image has a mask."
    assert "AUPRO" not in text


@pytest.mark.parametrize(("resolution", "compared"), [(256, True), ("original", False)])
def test_published_pixel_figures_are_compared_at_their_resolution(
    resolution: int | str, compared: bool
):
    figures = [("fre", "resnet18", "bottle", "aupro_0.3", 0.905)]
    settings = {"fre": SETTINGS | {"resolution": 256, "remark": "the layer is not named"}}
    publication = PUBLISHED._replace(
        figures=pd.DataFrame(figures, columns=PUBLISHED.figures.columns), settings=settings
    )
    entry = metrics("bottle", "fre", 0.9) | {"pixels": PIXELS | {"resolution": resolution}}
    found, refused = comparable(publication, [entry])
    assert list(found["value"]) == ([0.905] if compared else [])
    assert refused == (
        [] if compared else ["fre resnet18: resolution is original, published with 256"]
    )
    assert remarks(publication, found) == (["fre: the layer is not named"] if compared else [])


def test_the_report_begins_with_its_images_and_ends_with_what_made_it():
    head, *_, made = report(results(BOTH, ["bottle", "cable"])).split("\n## ")
    assert "(418/40/126)" in head
    assert "Seed 42; torch 2.15.0, on CPU" in head
    for expected in ("d1" * 8, "e2" * 8, "f3" * 8, "components: 16", "avgpool/pool1", "bilinear"):
        assert expected in made


def test_details_show_defect_types_and_worst_images():
    text = details(results(BOTH, ["bottle", "cable"]))
    assert rows(text, "bottle")[1:3] == [
        ["dfkde", "resnet18", "broken", "63", "0.900 (0.800–0.950)", "50.0% (0.0%–25.0%)"],
        ["dfkde", "resnet18", "good", "20", "–", "5.0% (0.0%–25.0%)"],
    ]
    assert re.search(r"\| test/broken/007\.png +\| -3\.5 +\| 4\.2 % +\| 25\.0% +\|", text)


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
