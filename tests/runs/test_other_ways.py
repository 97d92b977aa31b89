"""Other ways to the same results; runs of a part; good images alone."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
from runs import (
    PAGE,
    TABLE,
    USAGE,
    edited_config,
    planned_jobs,
    reports,
    said,
    snakemake,
    table_rows,
    write_config,
)

from defectbench.receipts import Receipt
from defectbench.storage import open_h5

MEASURED = ("cost.json", "cost.kept.json", "speed.json", "_cost.md", "_usage.md", ".html")
MEASURED += ("_run.json", ".receipt.json")
FEATURES = "results/parts/plate/features.h5"


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
    finished: Path, small_dataset: Path, tmp_path: Path
):
    write_config(tmp_path, small_dataset)
    run = snakemake(tmp_path, TABLE, PAGE, USAGE)
    assert run.returncode == 0, said(run)
    assert made(tmp_path) == made(finished)
    assert keys(tmp_path) == keys(finished)
    # with the same times, what shows them is the same too
    for file in finished.glob("results/**/*"):
        if file.name.endswith(MEASURED):
            shutil.copyfile(file, tmp_path / file.relative_to(finished))
    assert planned_jobs(tmp_path, TABLE, PAGE) == {"table": 1, "page": 1}
    assert snakemake(tmp_path, TABLE, PAGE).returncode == 0
    for name in (PAGE, "reports/parts_cost.md"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()


def test_an_archive_gives_the_same_scores_as_its_folder(
    finished: Path, small_dataset: Path, tmp_path: Path
):
    archive = shutil.make_archive(str(tmp_path / "parts"), "xztar", small_dataset)
    write_config(tmp_path, small_dataset)
    with edited_config(tmp_path) as config:
        config["datasets"]["parts"] |= {
            "source": "archive",
            "path": archive,
            "all_categories": ["plate", "ring"],
        }
    scores = "results/parts/ring/fre_small/efficientnet_lite0/scores.tsv"
    run = snakemake(tmp_path, scores)
    assert run.returncode == 0, said(run)
    assert (tmp_path / scores).read_bytes() == (finished / scores).read_bytes()


def test_an_added_backbone_extracts_itself_alone(finished_copy: Path, resnet18_weights: Path):
    with edited_config(finished_copy) as config:
        config["methods"]["fre_resnet"] = config["methods"]["fre_small"] | {
            "layer": "layer2",
            "backbones": ["resnet18"],
        }
        config["datasets"]["parts"]["methods"].append("fre_resnet")
        config["backbones"] = {"resnet18": {"weights": str(resnet18_weights)}}
    with open_h5(finished_copy / FEATURES) as file:
        before = file["lanczos64/efficientnet_lite0/blocks.3/pool2"][()]
    assert planned_jobs(finished_copy, FEATURES) == {"features": 1}
    run = snakemake(finished_copy, FEATURES)
    assert run.returncode == 0, said(run)
    with open_h5(finished_copy / FEATURES) as file:
        assert np.array_equal(file["lanczos64/efficientnet_lite0/blocks.3/pool2"], before)
        assert file["lanczos64/resnet18/layer2/pool2"].shape == (28, 128, 4, 4)
    log = (finished_copy / "logs" / "parts" / "plate" / "features.log").read_text()
    assert "extracts 28 of 28 images: lanczos64/resnet18\n" in log


def test_a_run_of_one_category_reports_it_alone_and_the_next_of_all_computes_nothing(
    finished_copy: Path,
):
    whole = reports(finished_copy)
    one = (TABLE, "--config", "categories=ring")
    assert planned_jobs(finished_copy, *one) == {"table": 1}
    assert snakemake(finished_copy, *one).returncode == 0
    text = (finished_copy / TABLE).read_text()
    assert text.splitlines()[2].startswith("Covers 1 of 2 categories: ring.")
    average, ring = table_rows(text, "Image AUROC")[-2:]
    assert (average[0], ring[0]) == ("average of 1 of 2", "ring")
    assert planned_jobs(finished_copy, TABLE) == {"table": 1}
    assert snakemake(finished_copy, TABLE).returncode == 0
    assert reports(finished_copy) == whole


def test_good_images_alone_give_thresholds_and_maps_and_say_why_there_is_no_accuracy(
    dataset_copy: Path, tmp_path: Path
):
    folder, parts = tmp_path / "run", tmp_path / "parts"
    folder.mkdir()
    (dataset_copy / "plate" / "train" / "good").rename(parts)
    write_config(folder, parts)
    with edited_config(folder) as config:
        config["datasets"]["parts"]["good"] = "*.png"
    run = snakemake(folder)
    assert run.returncode == 0, said(run)
    table = (folder / "reports" / "parts_table.md").read_text()
    assert "parts: only 4 good test images and no defective test image" in table
    assert "nan" not in table.lower()
    cell = folder / "results" / "parts" / "parts" / "fre_small" / "efficientnet_lite0"
    metrics = json.loads((cell / "metrics.json").read_text())
    assert metrics["thresholds"]["honest"] > 0
    assert metrics["metrics"]["honest_false_positive_rate"] is not None
    with h5py.File(cell / "maps.h5") as maps:
        assert maps["test"].shape[0] == 4
