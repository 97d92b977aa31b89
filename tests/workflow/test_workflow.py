"""The real Snakefile on a small generated dataset, through every stage."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from runs import ROOT, TABLE, planned_jobs, reports, snakemake, write_config
from sklearn.metrics import roc_auc_score

from defectbench.receipts import Receipt
from defectbench.storage import open_h5, read_attributes, read_tsv

PAGE = "reports/parts.html"
MEASURED = ("cost.json", "cost.kept.json", "_cost.md", ".html", ".receipt.json")
REPORT = {"table": 1}
CELLS = [
    (category, method) for category in ("plate", "ring") for method in ("dfkde_small", "fre_small")
]


def table_rows(text: str, heading: str) -> list[list[str]]:
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


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
    assert len(rows) == len(CELLS) * 22 + 2 * 10 + 9


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
    assert {row["fold"] for row in rows} == set("01234")
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
    assert provenance.items() <= metrics["provenance"].items()


def test_a_second_run_does_nothing(finished: Path):
    assert planned_jobs(finished, TABLE) == {}


def test_a_changed_parameter_redoes_its_method_and_extracts_nothing(
    finished_copy: Path, small_dataset: Path
):
    config = yaml.safe_load((finished_copy / "config.yaml").read_text())
    config["methods"]["dfkde_small"]["components"] = 2
    (finished_copy / "config.yaml").write_text(yaml.safe_dump(config))
    assert planned_jobs(finished_copy, TABLE) == {"scores": 2, "metrics": 2, **REPORT}


def test_an_added_method_on_known_features_runs_alone(finished_copy: Path):
    config = yaml.safe_load((finished_copy / "config.yaml").read_text())
    config["methods"]["fre_99"] = config["methods"]["fre_small"] | {"variance": 0.99}
    config["datasets"]["parts"]["methods"].append("fre_99")
    (finished_copy / "config.yaml").write_text(yaml.safe_dump(config))
    planned = planned_jobs(finished_copy, TABLE)
    assert planned == {"scores": 2, "metrics": 2, "pixel_metrics": 2, **REPORT}
    assert snakemake(finished_copy, TABLE).returncode == 0
    assert "fre_99" in (finished_copy / TABLE).read_text()


def test_an_added_backbone_extracts_itself_alone(finished_copy: Path, resnet18_weights: Path):
    config = yaml.safe_load((finished_copy / "config.yaml").read_text())
    config["methods"]["fre_resnet"] = config["methods"]["fre_small"] | {
        "layer": "layer2",
        "backbones": ["resnet18"],
    }
    config["datasets"]["parts"]["methods"].append("fre_resnet")
    config["backbones"] = {"resnet18": {"weights": str(resnet18_weights)}}
    (finished_copy / "config.yaml").write_text(yaml.safe_dump(config))
    features = finished_copy / "results" / "parts" / "plate" / "features.h5"
    with open_h5(features) as file:
        before = file["lanczos64/efficientnet_lite0/blocks.3/pool2"][()]
    assert planned_jobs(finished_copy, str(features.relative_to(finished_copy))) == {"features": 1}
    run = snakemake(finished_copy, str(features.relative_to(finished_copy)))
    assert run.returncode == 0, run.stdout + run.stderr
    with open_h5(features) as file:
        assert np.array_equal(file["lanczos64/efficientnet_lite0/blocks.3/pool2"], before)
        assert file["lanczos64/resnet18/layer2/pool2"].shape == (28, 128, 4, 4)
    log = (finished_copy / "logs" / "parts" / "plate" / "features.log").read_text()
    assert "runs: lanczos64/resnet18\n" in log


def test_one_category_can_be_redone(finished: Path):
    index = "results/parts/ring/index.tsv"
    jobs = planned_jobs(finished, "--forcerun", index, "--", TABLE)
    assert jobs == {
        "index": 1,
        "features": 1,
        "scores": 2,
        "metrics": 2,
        "pixel_metrics": 1,
        **REPORT,
    }


def test_a_run_of_one_category_reports_it_alone_and_the_next_of_all_computes_nothing(
    finished_copy: Path,
):
    whole = reports(finished_copy)
    one = (TABLE, "--config", "categories=ring")
    assert planned_jobs(finished_copy, *one) == REPORT
    assert snakemake(finished_copy, *one).returncode == 0
    text = (finished_copy / TABLE).read_text()
    assert text.splitlines()[2].startswith("Covers 1 of 2 categories: ring.")
    average, ring = table_rows(text, "Image AUROC")[-2:]
    assert average[0] == "average of 1 of 2"
    assert ring[0] == "ring"
    assert planned_jobs(finished_copy, TABLE) == REPORT
    assert snakemake(finished_copy, TABLE).returncode == 0
    assert reports(finished_copy) == whole


def test_a_new_image_in_the_users_folder_is_noticed(dataset_copy: Path, finished_copy: Path):
    write_config(finished_copy, dataset_copy)
    assert snakemake(finished_copy, TABLE).returncode == 0
    assert planned_jobs(finished_copy, TABLE) == {}
    good = dataset_copy / "plate" / "train" / "good"
    shutil.copy(good / "000.png", good / "900.png")
    jobs = planned_jobs(finished_copy, TABLE)
    assert jobs["source"] == jobs["index"] == jobs["features"] == 1


def made(folder: Path) -> dict[Path, bytes]:
    """Every file of a run's results and reports but those that hold times."""
    files = [*folder.glob("results/**/*"), *folder.glob("reports/**/*")]
    return {
        file.relative_to(folder): file.read_bytes()
        for file in files
        if file.is_file() and not file.name.endswith(MEASURED)
    }


def keys(folder: Path) -> dict[Path, str]:
    """What each result and report was made of; receipts name the digests of times as well."""
    return {
        file.relative_to(folder): Receipt.read(file).key
        for root in ("results", "reports")
        for file in folder.glob(f"{root}/**/.*.receipt.json")
    }


def test_the_same_inputs_give_the_same_bytes_elsewhere(
    finished_copy: Path, small_dataset: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_config(elsewhere, small_dataset)
    for folder in (finished_copy, elsewhere):
        assert snakemake(folder, TABLE, PAGE).returncode == 0
    assert made(elsewhere) == made(finished_copy)
    assert keys(elsewhere) == keys(finished_copy)
    # with the same times, what shows them is the same too
    for file in finished_copy.glob("results/**/*"):
        if file.name.endswith(MEASURED):
            shutil.copyfile(file, elsewhere / file.relative_to(finished_copy))
    assert planned_jobs(elsewhere, TABLE, PAGE) == {**REPORT, "page": 1}
    assert snakemake(elsewhere, TABLE, PAGE).returncode == 0
    for name in (PAGE, "reports/parts_cost.md"):
        assert (elsewhere / name).read_bytes() == (finished_copy / name).read_bytes()


def test_an_archive_gives_the_same_scores_as_its_folder(
    finished: Path, small_dataset: Path, tmp_path: Path
):
    archive = shutil.make_archive(str(tmp_path / "parts"), "xztar", small_dataset)
    write_config(tmp_path, small_dataset)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["datasets"]["parts"] |= {
        "source": "archive",
        "path": archive,
        "all_categories": ["plate", "ring"],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    scores = "results/parts/ring/fre_small/efficientnet_lite0/scores.tsv"
    run = snakemake(tmp_path, scores)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / scores).read_bytes() == (finished / scores).read_bytes()


def test_weights_of_ones_own_are_used(finished: Path, small_dataset: Path, tmp_path: Path):
    import torch

    path = finished / "resources" / "weights" / "efficientnet_lite0.pth"
    state = torch.load(path, weights_only=True)
    torch.save({name: value * 1 for name, value in state.items()}, tmp_path / "mine.pth")
    write_config(
        tmp_path,
        small_dataset,
        backbones={"efficientnet_lite0": {"weights": str(tmp_path / "mine.pth")}},
    )
    scores = "results/parts/ring/fre_small/efficientnet_lite0/scores.tsv"
    assert "weights" not in planned_jobs(tmp_path, scores)
    assert snakemake(tmp_path, scores).returncode == 0
    assert (tmp_path / scores).read_bytes() == (finished / scores).read_bytes()


def test_features_from_elsewhere_give_the_same_figures(finished: Path, tmp_path: Path):
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
    write_config(tmp_path, tmp_path)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["datasets"]["parts"] = {
        "source": "features",
        "path": "features",
        "methods": ["fre_small"],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(tmp_path, TABLE)
    assert run.returncode == 0, run.stdout + run.stderr
    given = tmp_path / "results" / "parts" / "ring" / "fre_small" / "given"
    ours = folder / "fre_small" / "efficientnet_lite0"
    for name in ("scores.tsv", "held_out_scores.tsv"):
        assert (given / name).read_bytes() == (ours / name).read_bytes()
    assert "fre_small given" in (tmp_path / TABLE).read_text()


def test_a_damaged_image_is_named_before_anything_is_computed(dataset_copy: Path, tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    (dataset_copy / "ring" / "train" / "good" / "003.png").write_bytes(b"\x89PNG")
    write_config(folder, dataset_copy)
    run = snakemake(folder, TABLE)
    assert run.returncode != 0
    assert re.search(r"train/good/003\.png: cannot be read", run.stdout + run.stderr)
    assert not (folder / TABLE).exists()
    assert list(folder.glob("results/parts/ring/*.h5")) == []


def test_a_bad_config_is_refused_with_one_line(finished: Path):
    run = snakemake(finished, TABLE, "--config", "categories=rign")
    assert run.returncode != 0
    assert "config: categories: unknown value 'rign'; did you mean ring?" in run.stderr + run.stdout


def test_a_left_over_lock_can_be_removed_without_naming_cores(finished_copy: Path):
    locks = finished_copy / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text(f"{TABLE}\n")
    assert snakemake(finished_copy, TABLE, "--forcerun", "table").returncode != 0
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--unlock"]
    subprocess.run(command, cwd=finished_copy, check=True, capture_output=True, timeout=60)
    assert snakemake(finished_copy, TABLE, "--forcerun", "table").returncode == 0


def test_features_are_finite_float32(finished: Path):
    with open_h5(finished / "results" / "parts" / "ring" / "features.h5") as features:
        X = features["lanczos64/efficientnet_lite0/blocks.3/pool2"][()]
    assert X.shape == (28, 80, 2, 2)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()


def test_no_rule_uses_more_than_it_asks_for(finished_copy: Path):
    run = snakemake(finished_copy, "--", "reports/parts_usage.md")
    assert run.returncode == 0, run.stdout + run.stderr
    text = (finished_copy / "reports" / "parts_usage.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows[1:]}
    assert {"features", "index", "scores", "metrics", "table"} <= set(table)
    for rule, row in table.items():
        assert 0 < float(row["MB asked"]) >= float(row["MB used"]), rule
        assert 0 < float(row["minutes asked"]) >= float(row["minutes used"]), rule
    assert table["features"]["jobs"] == "2"
    assert float(table["features"]["MB used"]) > 100
