"""What a new user meets first: errors that name their own files, a look before computing."""

import shutil
import subprocess
from pathlib import Path

import pytest
from runs import ROOT, checked, said, snakemake, spoken, write_config

INDEX = "results/parts/plate/index.tsv"


def test_broken_images_are_named_where_their_user_put_them(dataset_copy: Path, tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    good = dataset_copy / "plate" / "train" / "good"
    (good / "003.png").write_bytes(b"no image")
    (good / "005.png").unlink()
    (good / "005.png").symlink_to("nowhere.png")
    write_config(folder, dataset_copy)
    run = snakemake(folder, "--", INDEX)
    assert run.returncode != 0
    lines = spoken(said(run))
    what = "mend or remove, or set `unreadable: skip` of the dataset"
    errors = lines[lines.index(f"error: {dataset_copy / 'plate'}: {what}") :]
    for line, name in zip(errors[1:3], ("003.png", "005.png"), strict=True):
        assert line.startswith(f"  {good / name}: cannot be read as an image")
    assert errors[3:] == ["  log: logs/parts/plate/index.log"]
    assert "resources/data" not in said(run)
    assert "Traceback" not in said(run)


def test_categories_of_a_dataset_that_is_not_run_unasked_say_how_to_ask(tmp_path: Path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    run = snakemake(tmp_path, "-n", "--config", "categories=bottle")
    assert run.returncode != 0
    assert spoken(said(run)) == [
        "error: config: categories: bottle is in the dataset mvtec, which runs only when it is "
        "asked for: snakemake reports/mvtec_table.md"
    ]


def test_a_look_before_computing_counts_new_images(small_dataset: Path, tmp_path: Path):
    write_config(tmp_path, small_dataset)
    shutil.copytree(small_dataset / "ring" / "test", tmp_path / "today" / "ring")
    settings = tmp_path / "new.yaml"
    settings.write_text("datasets: {parts: {new: today}}")
    run = checked(tmp_path, str(settings))
    assert run.returncode == 0, said(run)
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
    assert f"error: {dataset_copy / 'ring'}: mend or remove, or set `unreadable" in run.stdout
    assert f"\n  {broken}: cannot be" in run.stdout
    assert "plate " in run.stdout
    missing = checked(tmp_path, "nowhere.yaml")
    assert missing.stdout.startswith("error: nowhere.yaml: no such file; CONFIG names your")
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize("target", ["run", "plan", "check"])
def test_settings_that_are_not_there_are_named_by_make(target: str):
    command = ["make", "-C", str(ROOT), "--no-print-directory", target, "CONFIG=nowhere.yaml"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert said(run).startswith("error: nowhere.yaml: no such file; CONFIG names your settings")
    assert "Traceback" not in said(run)
