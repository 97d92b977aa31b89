"""Everything that goes wrong ends in one clear line, and a plain rerun ends in the same bytes.

docs/faults.md tells users what these tests show.
"""

import json
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from held import StartedRun, wait_for_the_end
from PIL import Image
from runs import (
    PAGE,
    TABLE,
    edited_config,
    mounted,
    planned_jobs,
    reports,
    said,
    snakemake,
    spoken,
    write_config,
)
from server import serving

from defectbench.storage import read_arrays

INDEX = Path("results/parts/plate/index.tsv")
FEATURES = Path("results/parts/plate/features.h5")
STAGES = {
    "index.py": "index parts/plate",
    "features.py": "features parts/plate",
    "scores.py": "scores parts/plate",
    "metrics.py": "metrics parts/plate",
    "table.py": "table parts",
}


def left_overs(folder: Path) -> list[Path]:
    """Half-written files; those below .snakemake are its own."""
    found = [*folder.glob("results/**/*.part"), *folder.glob("re*/**/.*.part")]
    return [path for path in found if ".snakemake" not in path.parts]


def write_small_config(folder: Path, dataset: Path, weights: Path, **entry: object) -> None:
    """One category, one detector on a network of random weights: nine jobs."""
    method = {
        "scorer": "pca_fre",
        "layer": "layer1",
        "pool": 2,
        "preprocessing": "lanczos64",
        "backbones": ["resnet18"],
    }
    parts = {"source": "folder", "path": str(dataset), "methods": ["fre"]}
    parts["all_categories"] = ["plate"]
    parts |= entry
    if parts["source"] == "download":
        del parts["path"]
    write_config(
        folder,
        dataset,
        datasets={"parts": parts},
        methods={"fre": method},
        backbones={"resnet18": {"weights": str(weights)}},
    )


@pytest.fixture(scope="module")
def small(
    small_dataset: Path, resnet18_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a finished run with one detector; read-only by agreement."""
    folder = tmp_path_factory.mktemp("small")
    write_small_config(folder, small_dataset, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, said(run)
    return folder


@pytest.fixture
def folder(small_dataset: Path, resnet18_weights: Path, tmp_path: Path) -> Path:
    """Folder of the same run before it has begun."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_small_config(folder, small_dataset, resnet18_weights)
    return folder


def test_jobs_killed_in_every_stage_are_done_again_on_one_core_as_on_two(folder: Path, small: Path):
    command = ("--cores", "1", "--", TABLE)
    for script, stage in STAGES.items():
        with StartedRun(folder, *command, held=script) as run:
            run.job(script).kill()
            assert run.wait() != 0
            assert f"error: {stage} failed" in run.said()
    again = snakemake(folder, *command)
    assert again.returncode == 0, said(again)
    assert reports(folder) == reports(small)
    assert left_overs(folder) == []
    assert planned_jobs(folder, TABLE) == {}


def test_after_a_killed_snakemake_the_same_command_goes_on(folder: Path, small: Path):
    for script in ("features.py", "scores.py", "table.py"):
        with StartedRun(folder, TABLE, held=script) as run:
            orphan = run.job(script)
            run.process.kill()
            assert run.wait() != 0
            orphan.resume()
            wait_for_the_end(orphan)  # what it makes must do no harm
    again = snakemake(folder, TABLE)
    assert again.returncode == 0, said(again)
    assert "in this folder was killed; this one goes on from there" in said(again)
    assert reports(folder) == reports(small)
    assert left_overs(folder) == []


def test_an_interrupted_run_says_one_line_and_the_same_command_goes_on(folder: Path, small: Path):
    for script in ("index.py", "features.py", "scores.py"):
        with StartedRun(folder, TABLE, held=script) as run:
            run.job(script).resume()
            run.interrupt()
            assert run.wait() != 0
            assert spoken(run.said())[-1] == "interrupted; the same command goes on"
            assert "Traceback" not in run.said()
            assert "error:" not in run.said()
    again = snakemake(folder, TABLE)
    assert again.returncode == 0, said(again)
    assert "was killed" not in said(again)
    assert reports(folder) == reports(small)


def test_of_two_runs_at_once_the_second_waits_its_turn(folder: Path, small: Path):
    with StartedRun(folder, TABLE, held="features.py") as first:
        job = first.job("features.py")
        second = snakemake(folder, TABLE)
        assert second.returncode != 0
        assert "error: another run is active in this folder (since 20" in said(second)
        job.resume()
        assert first.wait() == 0, first.said()
    assert reports(folder) == reports(small)


def archive_of(dataset: Path, path: Path) -> bytes:
    with tarfile.open(path, "w") as tar:
        tar.add(dataset / "plate", "plate")
    return path.read_bytes()


def test_a_killed_download_goes_on_where_it_was_and_is_never_asked_for_again(
    folder: Path, small: Path, small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    content = archive_of(small_dataset, tmp_path / "plate.tar")
    with serving(content) as server:
        urls = {"plate": [server.url()]}
        write_small_config(folder, small_dataset, resnet18_weights, source="download", urls=urls)
        server.stalls = 1
        part = folder / "resources" / "downloads" / "parts_plate.tar.xz.part"
        with StartedRun(folder, str(INDEX)) as run:
            job = run.job("source.py", stopped=False)
            while not part.is_file() or part.stat().st_size < len(content) // 3:
                assert run.process.poll() is None, run.said()
                time.sleep(0.05)
            job.kill()
            assert run.wait() != 0
        again = snakemake(folder, str(INDEX))
        assert again.returncode == 0, said(again)
        assert server.starts == [0, len(content) // 3]
    assert (folder / INDEX).read_bytes() == (small / INDEX).read_bytes()
    assert left_overs(folder) == []
    # the server is gone: neither another method nor another index needs it
    with edited_config(folder) as config:
        config["methods"]["other"] = config["methods"]["fre"] | {"layer": "layer2"}
        config["datasets"]["parts"]["methods"].append("other")
    assert planned_jobs(folder, str(FEATURES)) == {"features": 1}
    forced = snakemake(folder, "--forcerun", "source", "--", str(INDEX))
    assert forced.returncode == 0, said(forced)


def test_a_failed_download_says_what_to_fetch_and_where_to_put_it(
    folder: Path, small_dataset: Path, resnet18_weights: Path
):
    with serving(b"") as server:
        urls = {"plate": [server.url("/missing")]}
        write_small_config(folder, small_dataset, resnet18_weights, source="download", urls=urls)
        run = snakemake(folder, str(INDEX))
    assert run.returncode != 0
    assert "HTTP 404" in said(run)
    assert "resources/downloads/parts_plate.tar.xz" in said(run)
    assert not (folder / "resources" / "data" / "parts" / "plate").exists()


def test_a_full_disk_is_named_and_space_is_all_it_needs(folder: Path, small: Path):
    with mounted(folder / "results", "size=256k"):
        run = snakemake(folder, TABLE)
        assert run.returncode != 0
        assert re.search(r"error: .*no space left on the disk", said(run)), said(run)
        assert "died with" not in said(run)
        assert left_overs(folder) == []
        larger = ["mount", "-o", "remount,size=64m", str(folder / "results")]
        subprocess.run(larger, check=True)
        again = snakemake(folder, TABLE)
        assert again.returncode == 0, said(again)
        assert reports(folder) == reports(small)


def test_a_read_only_results_folder_is_named(folder: Path):
    with mounted(folder / "results", "ro,size=1m"):
        run = snakemake(folder, TABLE)
    assert run.returncode != 0
    assert re.search(r"[Rr]ead-only file system.*results", said(run)), said(run)
    assert not (folder / TABLE).exists()


def test_names_with_spaces_quotes_and_accents_are_only_names(
    folder: Path, small: Path, dataset_copy: Path, resnet18_weights: Path, tmp_path: Path
):
    name = "plaque n°1; $(touch pwned) 'é'"
    (dataset_copy / "plate").rename(dataset_copy / name)
    (dataset_copy / name / "test" / "dent").rename(dataset_copy / name / "test" / "bosse à gauche")
    masks = dataset_copy / name / "ground_truth"
    (masks / "dent").rename(masks / "bosse à gauche")
    write_small_config(folder, dataset_copy, resnet18_weights, all_categories=[name])
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, said(run)
    assert list(tmp_path.rglob("pwned")) == []
    assert name in (folder / TABLE).read_text()
    assert "bosse à gauche" in (folder / "reports" / "parts_details.md").read_text()
    theirs, ours = (
        read_arrays(run / "results" / "parts" / category / "fre" / "resnet18" / "model.h5")[0]
        for run, category in ((folder, name), (small, "plate"))
    )
    np.testing.assert_equal(theirs, ours)


def test_a_test_set_of_one_class_has_no_auroc(
    folder: Path, dataset_copy: Path, resnet18_weights: Path
):
    shutil.rmtree(dataset_copy / "plate" / "test" / "good")
    write_small_config(folder, dataset_copy, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, said(run)
    text = (folder / TABLE).read_text()
    assert "nan" not in text.lower()
    section = text.split("## Image AUROC\n")[1].split("\n## ")[0]
    row = next(line for line in section.splitlines() if line.startswith("| plate"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["plate", "–"]
    assert "no good test image" in section


def test_images_of_many_kinds_are_used(folder: Path, dataset_copy: Path, resnet18_weights: Path):
    good = dataset_copy / "plate" / "train" / "good"
    for number, mode in enumerate(["L", "P", "RGBA", "CMYK", "1", "LA"]):
        file = good / f"{number:03}.png"
        image = Image.open(file).convert(mode)
        file.unlink()
        image.save(file.with_suffix(".tif") if mode == "CMYK" else file)
    grey = np.asarray(Image.open(good / "006.png").convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(good / "006.png")
    Image.open(good / "007.png").resize((100, 80)).save(good / "007.png")
    write_small_config(folder, dataset_copy, resnet18_weights)
    run = snakemake(folder, str(FEATURES))
    assert run.returncode == 0, said(run)
    assert f"warning: {dataset_copy}/plate: 1 images are not 48×40" in said(run)
    notes = json.loads((folder / "results" / "parts" / "plate" / "notes.json").read_text())
    assert any(note.startswith("1 images are not 48×40") for note in notes)


def test_unreadable_images_stop_a_run_or_are_left_out_and_listed(
    folder: Path, dataset_copy: Path, resnet18_weights: Path
):
    broken = [dataset_copy / "plate" / path for path in ("train/good/003.png", "test/dent/001.png")]
    for file in broken:
        file.write_bytes(file.read_bytes()[:-40])
    write_small_config(folder, dataset_copy, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode == 1
    assert "mend or remove, or set `unreadable: skip` of the dataset" in said(run)
    write_small_config(folder, dataset_copy, resnet18_weights, unreadable="skip")
    run = snakemake(folder, TABLE, PAGE)
    assert run.returncode == 0, said(run)
    for text in (said(run), *((folder / report).read_text() for report in (TABLE, PAGE))):
        for file in broken:
            assert f"left out (`unreadable: skip`): {file}: cannot be read as an image" in text
    index = (folder / INDEX).read_text()
    assert len(index.splitlines()) == 1 + 28 - 2
