"""What is planned after a change: what it touches, and nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from runs import TABLE, planned_jobs, snakemake, write_config

Config = dict[str, object]
CELLS = {"scores": 1, "metrics": 1, "pixel_metrics": 1, "table": 1}


def edited(folder: Path, edit: Callable[[Config], object]) -> None:
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    edit(config)
    path.write_text(yaml.safe_dump(config))


def images_of(folder: Path) -> Path:
    """The user's folder, from the config of a run."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return Path(config["datasets"]["parts"]["path"])


@pytest.fixture(scope="module")
def settled(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one detector on images behind a link, and its dataset beside it."""
    folder = tmp_path_factory.mktemp("settled")
    dataset = Path(shutil.copytree(small_dataset, folder / "dataset"))
    shutil.rmtree(dataset / "ring")
    good = dataset / "plate" / "train" / "good"
    good.rename(folder / "elsewhere")
    good.symlink_to(folder / "elsewhere")
    write_config(folder, dataset)
    edited(folder, lambda config: config["datasets"]["parts"].update(methods=["fre_small"]))
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert planned_jobs(folder, TABLE) == {}
    return folder


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.update(device="auto"),
        lambda config: config["datasets"]["parts"].update(
            path=config["datasets"]["parts"]["path"] + "/../dataset/."
        ),
        lambda config: config["datasets"]["parts"].update(
            methods=["fre_small"], all_categories=["plate"]
        ),
        lambda config: config["methods"].update(unused=config["methods"]["dfkde_small"]),
    ],
    ids=["device spelt otherwise", "path spelt otherwise", "category named", "unused method"],
)
def test_a_change_that_decides_no_number_plans_nothing(
    settled: Path, edit: Callable[[Config], object]
):
    before = (settled / "config.yaml").read_text()
    try:
        edited(settled, edit)
        assert planned_jobs(settled, TABLE) == {}
    finally:
        (settled / "config.yaml").write_text(before)


def test_a_touched_image_plans_nothing(settled: Path):
    os.utime(images_of(settled) / "plate" / "train" / "good" / "000.png")
    assert planned_jobs(settled, TABLE) == {}


def test_an_image_replaced_behind_a_link_is_noticed(settled: Path):
    image = settled / "elsewhere" / "000.png"
    before = image.read_bytes()
    try:
        shutil.copy(settled / "elsewhere" / "001.png", image)
        planned = planned_jobs(settled, TABLE)
        assert planned == {"source": 1, "index": 1, "features": 1, **CELLS}
    finally:
        image.write_bytes(before)


def test_another_version_of_a_library_redoes_what_it_computes(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake = tmp_path / "scipy-0.0.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    planned = planned_jobs(settled, TABLE)
    assert {"scores", "metrics"} <= set(planned)
    assert not {"source", "weights", "features"} & set(planned)


def test_an_added_method_neither_fetches_nor_extracts_what_is_there(
    small_dataset: Path, tmp_path: Path
):
    archive = shutil.make_archive(str(tmp_path / "served"), "tar", small_dataset)
    write_config(tmp_path, small_dataset)
    entry = {
        "source": "download",
        "urls": {"all": [Path(archive).as_uri()]},
        "all_categories": ["plate", "ring"],
        "methods": ["fre_small"],
    }
    edited(tmp_path, lambda config: config["datasets"].update(parts=entry))
    category = ("--config", "categories=plate", "--", TABLE)
    run = snakemake(tmp_path, *category)
    assert run.returncode == 0, run.stdout + run.stderr
    assert planned_jobs(tmp_path, *category) == {}
    edited(tmp_path, lambda config: config["datasets"]["parts"]["methods"].append("dfkde_small"))
    assert planned_jobs(tmp_path, *category) == {
        "features": 1,
        "scores": 2,
        "metrics": 2,
        "pixel_metrics": 1,
        "table": 1,
    }
    edited(tmp_path, lambda config: config["datasets"]["parts"].update(keep_archive=True))
    assert "source" not in planned_jobs(tmp_path, *category)
    # the archive is gone, and so is any way to fetch it again
    Path(archive).unlink()
    run = snakemake(tmp_path, *category)
    assert run.returncode == 0, run.stdout + run.stderr
    again = snakemake(tmp_path, "--forcerun", "source", *category)
    assert again.returncode == 0, again.stdout + again.stderr
