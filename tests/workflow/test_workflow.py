"""The real Snakefile on a small generated dataset, through every stage."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from runs import (
    PAGE,
    TABLE,
    USAGE,
    checked,
    edited_config,
    planned_jobs,
    said,
    snakemake,
    spoken,
    table_rows,
    write_config,
)
from sklearn.metrics import roc_auc_score

from defectbench.reports.costs import finished_jobs, used_mb
from defectbench.storage import open_h5, read_attributes, read_tsv

CELLS = [
    (category, method) for category in ("plate", "ring") for method in ("dfkde_small", "fre_small")
]


def test_table_counts_images_and_shows_intervals(finished: Path):
    text = (finished / TABLE).read_text()
    assert text.splitlines()[2] == "Covers all 2 categories."
    assert "(32/10/14)" in text
    header, _, average, *shown = table_rows(text, "Image AUROC")
    assert header == ["", "dfkde_small efficientnet_lite0", "fre_small efficientnet_lite0"]
    # five good and seven defective images are too few for a point figure: an interval stands
    assert average == ["average", "–", "–"]
    for (category, *texts), expected in zip(shown, ("plate", "ring"), strict=True):
        assert category == expected
        for method, text in zip(("dfkde_small", "fre_small"), texts, strict=True):
            folder = finished / "results" / "parts" / category / method / "efficientnet_lite0"
            low, high = json.loads((folder / "metrics.json").read_text())["intervals"][
                "image_auroc"
            ]
            assert text == f"– ({low:.3f}–{high:.3f})"


def test_bright_squares_are_found_and_marked(finished: Path):
    for category, method in CELLS:
        folder = finished / "results" / "parts" / category / method / "efficientnet_lite0"
        rows = read_tsv(folder / "scores.tsv")
        labels = [int(row["label"]) for row in rows]
        auroc = roc_auc_score(labels, [float(row["anomaly_score"]) for row in rows])
        metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
        assert metrics["image_auroc"] == pytest.approx(auroc)
        assert auroc > 0.9
    pixels = json.loads((folder / "pixel_metrics.json").read_text())["metrics"]["pixel_auroc"]
    row = table_rows((finished / TABLE).read_text(), "Pixel AUROC")[-1]
    assert row[0] == "ring"
    assert row[1].startswith(f"{pixels:.3f} (")
    assert pixels > 0.8


def test_csv_twin_holds_the_same_figures(finished: Path):
    with open(finished / "reports" / "parts_table.csv") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row["category"] != "average" and row["metric"] == "image_auroc":
            path = Path(row["category"], row["method"], row["backbone"], "metrics.json")
            metrics = json.loads((finished / "results" / "parts" / path).read_text())
            assert float(row["value"]) == metrics["metrics"]["image_auroc"]
            assert float(row["value"]) > 0.9
    # ten pixel figures where the method localizes; no average of image figures of so few images
    assert len(rows) == len(CELLS) * 24 + 2 * 10 + 9


def test_scores_have_one_row_per_test_image(finished: Path):
    for category, method in CELLS:
        folder = finished / "results" / "parts" / category / method / "efficientnet_lite0"
        rows = read_tsv(folder / "scores.tsv")
        assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
        assert [row["defect"] for row in rows] == ["dent"] * 3 + ["good"] * 5 + ["scratch"] * 4


def test_every_training_image_is_held_out_once(finished: Path):
    folder = finished / "results" / "parts" / "plate" / "fre_small" / "efficientnet_lite0"
    rows = read_tsv(folder / "held_out_scores.tsv")
    assert sorted(row["path"] for row in rows) == [f"train/good/{i:03}.png" for i in range(16)]
    assert len({row["fold"] for row in rows}) == 16  # each by itself
    fitted = json.loads((folder / "metrics.json").read_text())["thresholds"]["honest"]
    assert sum(float(row["anomaly_score"]) >= fitted for row in rows) <= 0.05 * 16


def test_details_name_every_defect_type(finished: Path):
    text = (finished / "reports" / "parts_details.md").read_text()
    for category in ("plate", "ring"):
        section = text.split(f"## {category}\n")[1].split("\n## ")[0]
        assert all(defect in section for defect in ("dent", "scratch", "good"))


def test_every_artefact_says_what_made_it(finished: Path):
    folder = finished / "results" / "parts" / "plate"
    with open_h5(folder / "features.h5") as features:
        provenance = read_attributes(features["lanczos64/efficientnet_lite0"])["provenance"]
    assert {"images_sha256", "preprocessing", "weights_sha256", "device", "versions"} <= set(
        provenance
    )
    metrics = json.loads((folder / "fre_small" / "efficientnet_lite0" / "metrics.json").read_text())
    assert metrics["seed"] == 42
    made = metrics["specification"]
    assert provenance.pop("code").items() <= made.pop("code").items()
    assert provenance.items() <= made.items()


def test_a_second_run_does_nothing_and_reads_no_file_again(finished: Path):
    assert (finished / "resources" / "contents.json").is_file()
    assert planned_jobs(finished, TABLE, PAGE) == {}


def test_a_changed_parameter_redoes_its_method_and_extracts_nothing(finished_copy: Path):
    with edited_config(finished_copy) as config:
        config["methods"]["dfkde_small"]["components"] = 2
    assert planned_jobs(finished_copy, TABLE) == {"scores": 2, "metrics": 2, "speed": 2, "table": 1}


def test_an_added_method_on_known_features_runs_alone(finished_copy: Path):
    with edited_config(finished_copy) as config:
        config["methods"]["fre_99"] = config["methods"]["fre_small"] | {"variance": 0.99}
        config["datasets"]["parts"]["methods"].append("fre_99")
    planned = planned_jobs(finished_copy, TABLE)
    assert planned == {"scores": 2, "metrics": 2, "pixel_metrics": 2, "speed": 2, "table": 1}


def test_another_version_of_a_library_redoes_what_it_computes(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake = tmp_path / "scipy-0.0.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    planned = planned_jobs(finished, TABLE)
    assert {"scores", "metrics"} <= set(planned)
    assert not {"source", "weights", "features"} & set(planned)


def test_one_category_can_be_redone(finished: Path):
    index = "results/parts/ring/index.tsv"
    jobs = planned_jobs(finished, "--forcerun", index, "--", TABLE)
    assert jobs == {
        "index": 1,
        "features": 1,
        "scores": 2,
        "metrics": 2,
        "pixel_metrics": 1,
        "speed": 1,
        "table": 1,
    }


def test_features_from_elsewhere_give_the_same_figures_and_a_page(finished: Path, tmp_path: Path):
    folder = finished / "results" / "parts" / "ring"
    index = read_tsv(folder / "index.tsv")
    with open_h5(folder / "features.h5") as features:
        X = features["lanczos64/efficientnet_lite0/blocks.3/pool2"][()].reshape(len(index), -1)
    (tmp_path / "features").mkdir()
    np.savez(
        tmp_path / "features" / "ring.npz",
        X=X,
        y=[int(row["label"]) for row in index],
        split=[row["split"] for row in index],
        defect=[row["defect"] for row in index],
        name=[row["path"].split("/", 1)[1] for row in index],
    )
    given = {"source": "features", "path": "features", "methods": ["fre_small"]}
    write_config(tmp_path, tmp_path, datasets={"parts": given})
    run = snakemake(tmp_path)
    assert run.returncode == 0, said(run)
    theirs = tmp_path / "results" / "parts" / "ring" / "fre_small" / "given"
    ours = folder / "fre_small" / "efficientnet_lite0"
    for name in ("scores.tsv", "held_out_scores.tsv"):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()
    assert "fre_small given" in (tmp_path / TABLE).read_text()
    assert "fre_small on" in (tmp_path / PAGE).read_text()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("threshold={folds: 1}", "threshold.folds: 1 is less than the minimum of 2"),
        ("categories=rign", "categories: unknown value 'rign'; did you mean ring?"),
        (
            "methods={fre_small: {layer: blocks.33}}",
            "methods.fre_small.layer: efficientnet_lite0 has no layer 'blocks.33'; did you mean",
        ),
    ],
    ids=["out of range", "refers to nothing", "no such layer"],
)
def test_a_bad_config_is_refused_with_one_line(finished: Path, setting: str, message: str):
    run = snakemake(finished, TABLE, "--config", setting)
    assert run.returncode != 0
    (line,) = spoken(said(run))
    assert line.startswith(f"error: config: {message}")


def test_features_are_finite_float32(finished: Path):
    with open_h5(finished / "results" / "parts" / "ring" / "features.h5") as features:
        X = features["lanczos64/efficientnet_lite0/blocks.3/pool2"][()]
    assert X.shape == (28, 80, 2, 2)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()


def test_no_job_uses_more_memory_than_it_asks_for(finished: Path):
    jobs = finished_jobs(finished / "benchmarks" / "parts", finished / "logs" / "parts")
    rules = Counter(job["rule_name"] for job in jobs)
    assert rules["features"] == 2
    assert {"index", "scores", "metrics", "pixel_metrics", "table", "page"} <= set(rules)
    for job in jobs:
        assert job["peak_mb"] > 0, job["rule_name"]
        assert job["mem_mb"] > used_mb(job), (job["rule_name"], job["mem_mb"], used_mb(job))


def test_what_rules_asked_for_and_used_is_a_table(finished: Path):
    lines = [line for line in (finished / USAGE).read_text().splitlines() if line.startswith("|")]
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows[1:]}
    assert {"features", "index", "scores", "metrics", "table"} <= set(table)
    assert table["features"]["jobs"] == "2"
    for rule, row in table.items():
        assert 0 < float(row["% used, at most"]) < 100, rule
        assert float(row["minutes asked"]) > 0, rule


def test_a_run_is_a_line_per_stage_and_category_and_ends_with_the_answer(finished: Path):
    lines = spoken((finished / "said").read_text())
    later = "4 scores, 4 metrics, 2 pixel_metrics, 2 speed, 1 table, 1 page, 1 usage"
    assert lines[0].endswith(f"jobs: 2 source, 1 weights, 2 index, 2 features, {later}")
    features = [line for line in lines if re.match(r"features parts/(plate|ring): ", line)]
    assert len(features) == 2
    assert features[-1].endswith(", 1 table, 1 page, 1 usage")
    assert sum(line.startswith("scores parts/ring (2 jobs): ") for line in lines) == 1
    for what in ("defective parts slip through; at most", "good parts are rejected; at most"):
        assert sum(what in line for line in lines) == 2  # a line for each category
    assert f"page: {finished / PAGE}" in lines
    assert f"table: {TABLE}" in lines
    assert len(lines) < 40


def test_numbers_in_settings_on_the_command_line_are_numbers(finished: Path):
    run = snakemake(finished, "-n", "--config", "threshold={false_positive_rate: 0.01}")
    assert run.returncode == 0, said(run)
    assert "metrics" in said(run)


def test_a_look_before_computing_names_counts_jobs_time_and_disk(finished: Path):
    before = sorted(finished.rglob("*"))
    run = checked(finished)
    assert run.returncode == 0, said(run)
    assert "parts: images from" in run.stdout
    assert "  detectors: dfkde_small, fre_small\n" in run.stdout
    (plate,) = [line for line in run.stdout.splitlines() if line.startswith("plate ")]
    assert " ".join(plate.split()) == "plate 16 5 7 (4 scratch, 3 dent) 7 none 48×40 RGB"
    assert "jobs to run: none, all is there" in run.stdout
    assert re.search(r"^time: some [\d.]+ minutes if nothing is there yet", run.stdout, re.M)
    assert re.search(r"^disk: some \d+ MB$", run.stdout, re.M)
    assert "next: make run" in run.stdout
    assert [path for path in sorted(finished.rglob("*")) if ".snakemake" not in path.parts] == [
        path for path in before if ".snakemake" not in path.parts
    ]
