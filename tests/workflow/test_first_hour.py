"""What a new user meets first: errors that name their own files, a run that can be watched."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
import yaml
from runs import ROOT, snakemake, write_config

INDEX = "results/parts/plate/index.tsv"


def spoken(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines on the terminal, without those that Snakemake says before it reads the workflow."""
    lines = (run.stdout + run.stderr).splitlines()
    return [line for line in lines if not line.startswith(("Using ", "Assuming ", "Config file"))]


@pytest.mark.parametrize("quiet", [[], ["--quiet", "rules"], ["--quiet", "all"]], ids=str)
def test_a_broken_image_is_named_where_its_user_put_it(
    dataset_copy: Path, tmp_path: Path, quiet: list[str]
):
    folder = tmp_path / "run"
    folder.mkdir()
    broken = dataset_copy / "plate" / "train" / "good" / "003.png"
    broken.write_bytes(b"no image")
    write_config(folder, dataset_copy)
    run = snakemake(folder, *quiet, "--", INDEX)
    assert run.returncode != 0
    lines = spoken(run)
    errors = lines[lines.index(f"error: {dataset_copy / 'plate'}: mend or remove") :]
    assert errors[1].startswith(f"  {broken}: cannot be read as an image")
    assert errors[2:] == ["  log: logs/parts/plate/index.log"]
    assert "resources/data" not in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def layout(name: str, dataset: Path) -> tuple[Path, str]:
    """A folder as new users have it, and what they are told."""
    train = dataset / "plate" / "train"
    shutil.rmtree(dataset / "ring")
    if name == "the category itself":
        return dataset / "plate", f"set `path` to {dataset}"
    if name == "flat":
        images = dataset.parent / "flat"
        shutil.copytree(train / "good", images)
        return images, "found 16 images; expected"
    (train / "good").rename(train / name)
    return dataset, f"found plate/train/{name}; expected {dataset}/CATEGORY/train/good"


@pytest.mark.parametrize("name", ["the category itself", "ok", "Good", "flat"])
def test_a_wrong_layout_says_what_was_searched_found_and_expected(
    dataset_copy: Path, tmp_path: Path, name: str
):
    path, told = layout(name, dataset_copy)
    folder = tmp_path / "run"
    folder.mkdir()
    write_config(folder, path)
    run = snakemake(folder, "--quiet", "all")
    assert run.returncode != 0
    (line,) = spoken(run)
    assert line.startswith(
        f"error: dataset parts: searched {path} for folders that hold train/good"
    )
    assert told in line


def test_categories_of_a_dataset_that_is_not_run_unasked_say_how_to_ask(tmp_path: Path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    run = snakemake(tmp_path, "-n", "--config", "categories=bottle")
    assert run.returncode != 0
    assert spoken(run) == [
        "error: config: categories: bottle is in the dataset mvtec, which runs only when it is "
        "asked for: snakemake reports/mvtec_table.md"
    ]


def test_numbers_in_settings_on_the_command_line_are_numbers(finished: Path):
    run = snakemake(finished, "-n", "--config", "threshold={false_positive_rate: 0.01}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "metrics" in run.stdout + run.stderr


def test_a_run_is_a_line_per_stage_and_category_and_ends_with_the_answer(finished_copy: Path):
    shutil.rmtree(finished_copy / "results" / "parts" / "ring")
    target = ["reports/parts_table.md", "reports/parts.html"]
    lines = spoken(snakemake(finished_copy, "--", *target))
    assert lines[0].endswith("jobs: 1 index, 1 features, 2 scores, 2 metrics, 1 pixel_metrics, "
                             "1 table, 1 page")  # fmt: skip
    (features,) = [line for line in lines if line.startswith("features parts/ring: ")]
    assert features.endswith("left: 2 scores, 2 metrics, 1 pixel_metrics, 1 table, 1 page")
    assert sum(line.startswith("scores parts/ring (2 jobs): ") for line in lines) == 1
    assert any("slip through" in line and "rejected" in line for line in lines)
    assert f"page: {finished_copy / 'reports' / 'parts.html'}" in lines
    assert "table: reports/parts_table.md" in lines
    assert len(lines) < 20


def test_cores_need_not_be_named(finished: Path):
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n"]
    assert subprocess.run([*command, "-d", str(finished)], capture_output=True).returncode == 0


def test_the_default_profile_is_the_one_that_names_cores():
    profile = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    assert profile["cores"] == "all"


def test_good_images_alone_give_thresholds_and_maps_and_say_why_there_is_no_accuracy(
    dataset_copy: Path, tmp_path: Path
):
    folder, parts = tmp_path / "run", tmp_path / "parts"
    folder.mkdir()
    (dataset_copy / "plate" / "train" / "good").rename(parts)
    write_config(folder, parts)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["datasets"]["parts"]["good"] = "*.png"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    table = (folder / "reports" / "parts_table.md").read_text()
    assert "parts: only 4 good test images and no defective test image" in table
    assert "nan" not in table.lower()
    cell = folder / "results" / "parts" / "parts" / "fre_small" / "efficientnet_lite0"
    metrics = json.loads((cell / "metrics.json").read_text())
    assert metrics["thresholds"]["honest"] > 0
    assert metrics["metrics"]["honest_false_positive_rate"] is not None
    with h5py.File(cell / "maps.h5") as maps:
        assert maps["test"].shape[0] == 4


def checked(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """What `make check` runs."""
    script = ROOT / "workflow" / "scripts" / "check_datasets.py"
    command = [sys.executable, str(script), *settings]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_look_before_computing_names_counts_jobs_time_and_disk(finished: Path):
    before = sorted(finished.rglob("*"))
    run = checked(finished)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "parts: dfkde_small, fre_small on images from" in run.stdout
    (plate,) = [line for line in run.stdout.splitlines() if line.startswith("plate ")]
    assert " ".join(plate.split()) == "plate 16 5 7 (4 scratch, 3 dent) 7 none 48×40 RGB"
    assert "jobs: 1 page" in run.stdout
    assert re.search(r"about [\d.]+ minutes of jobs.* and \d+ MB", run.stdout)
    assert [path for path in sorted(finished.rglob("*")) if ".snakemake" not in path.parts] == [
        path for path in before if ".snakemake" not in path.parts
    ]


def test_a_look_before_computing_counts_new_images(small_dataset: Path, tmp_path: Path):
    write_config(tmp_path, small_dataset)
    shutil.copytree(small_dataset / "ring" / "test", tmp_path / "today" / "ring")
    settings = tmp_path / "new.yaml"
    settings.write_text("datasets: {parts: {new: today}}")
    run = checked(tmp_path, str(settings))
    assert run.returncode == 0, run.stdout + run.stderr
    detectors = "dfkde_small efficientnet_lite0, fre_small efficientnet_lite0"
    assert f"ring: 12 new images in today/ring, scored by {detectors}\n" in run.stdout
    assert "2 detector, 1 table, 2 new_images" in run.stdout
    settings.write_text("datasets: {parts: {new: tomorrow}}")
    run = checked(tmp_path, str(settings))
    assert run.returncode == 1
    assert "error: config: datasets.parts.new: tomorrow: no such folder\n" in run.stdout


def test_a_look_before_computing_lists_what_must_be_mended(dataset_copy: Path, tmp_path: Path):
    broken = dataset_copy / "ring" / "test" / "dent" / "001.png"
    broken.write_bytes(b"no image")
    write_config(tmp_path, dataset_copy)
    run = checked(tmp_path)
    assert run.returncode == 1
    assert f"error: {dataset_copy / 'ring'}: mend or remove\n  {broken}: cannot be" in run.stdout
    assert "plate " in run.stdout
    missing = checked(tmp_path, "nowhere.yaml")
    assert missing.stdout.startswith("error: nowhere.yaml: cannot be read as settings")
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize("target", ["run", "plan", "check"])
def test_settings_that_are_not_there_are_named_by_make(target: str):
    command = ["make", "-C", str(ROOT), "--no-print-directory", target, "CONFIG=nowhere.yaml"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout.startswith("error: nowhere.yaml: no such file; CONFIG names your settings")
    assert "Traceback" not in run.stdout + run.stderr
