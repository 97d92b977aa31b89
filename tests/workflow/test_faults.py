"""Everything that goes wrong ends in one clear line, and a plain rerun ends in the same bytes.

docs/faults.md tells users what these tests show.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image
from runs import (
    ROOT,
    TABLE,
    mounted,
    planned_jobs,
    reports,
    snakemake,
    snakemake_command,
    write_config,
)
from server import serving

DETECTOR = Path("results/parts/plate/fre/resnet18")
FEATURES = Path("results/parts/plate/features.h5")
REPLICATES = DETECTOR / "replicates.h5"


def left_overs(folder: Path) -> list[Path]:
    """Half-written files; those below .snakemake are its own."""
    found = [*folder.glob("results/**/*.part"), *folder.glob("re*/**/.*.part")]
    return [path for path in found if ".snakemake" not in path.parts]


def said(run: subprocess.CompletedProcess[str]) -> str:
    return run.stdout + run.stderr


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


@pytest.fixture(scope="session")
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
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "run", symlinks=True))


def start_again(folder: Path, file: str | Path) -> subprocess.Popen[bytes]:
    """Start a run that makes a file of a finished run again, and all that depends on it."""
    command = snakemake_command(folder, "--forcerun", str(file), "--", TABLE)
    with open(folder / "killed.log", "w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def start_and_kill(folder: Path, script: str, *, everything: bool) -> int:
    """Start a run, kill -9 the job of a script, or Snakemake itself, and wait for the end."""
    run = start_again(folder, STAGES[script])
    victim = _job(run, script, folder)
    with contextlib.suppress(psutil.NoSuchProcess):
        time.sleep(0.1)  # into the work, past the start of Python
        (run if everything else victim).kill()
    status = run.wait(120)
    psutil.wait_procs([victim], timeout=60)  # an orphan works on: it must do no harm
    return status


def _job(run: subprocess.Popen[bytes], script: str, folder: Path) -> psutil.Process:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and run.poll() is None:
        for process in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if any(argument.endswith(script) for argument in process.cmdline()):
                    return process
        time.sleep(0.005)
    raise AssertionError(f"{script} did not start:\n{(folder / 'killed.log').read_text()}")


STAGES = {
    "index_images.py": "results/parts/plate/index.tsv",
    "extract_features.py": FEATURES,
    "score_images.py": DETECTOR / "scores.tsv",
    "evaluate_scores.py": DETECTOR / "metrics.json",
    "write_table.py": TABLE,
}


@pytest.mark.parametrize("script", STAGES)
def test_a_killed_job_is_done_again(copy: Path, small: Path, script: str):
    assert start_and_kill(copy, script, everything=False) != 0
    run = snakemake(copy, TABLE)
    assert run.returncode == 0, said(run)
    assert reports(copy) == reports(small)
    assert left_overs(copy) == []
    assert planned_jobs(copy, TABLE) == {}


@pytest.mark.parametrize("script", ["extract_features.py", "score_images.py", "write_table.py"])
def test_a_killed_snakemake_says_how_to_go_on(copy: Path, small: Path, script: str):
    assert start_and_kill(copy, script, everything=True) != 0
    locked = snakemake(copy, TABLE)
    assert locked.returncode != 0
    assert "--unlock" in said(locked)
    assert snakemake(copy, "--unlock").returncode == 0
    run = snakemake(copy, TABLE)
    assert run.returncode == 0, said(run)
    assert reports(copy) == reports(small)
    assert left_overs(copy) == []


def test_of_two_runs_at_once_the_second_waits_its_turn(copy: Path, small: Path):
    first = start_again(copy, FEATURES)
    _job(first, "extract_features.py", copy)
    second = snakemake(copy, TABLE)
    assert second.returncode != 0
    # or it saw, still planning, how the first one replaces files
    assert re.search("cannot be locked|concurrent process", said(second)), said(second)
    assert first.wait(120) == 0
    assert reports(copy) == reports(small)


def archive_of(dataset: Path, path: Path) -> bytes:
    with tarfile.open(path, "w") as tar:
        tar.add(dataset / "plate", "plate")
    return path.read_bytes()


def test_a_killed_download_goes_on_where_it_was(
    small: Path, small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    content = archive_of(small_dataset, tmp_path / "plate.tar")
    with serving(content) as server:
        urls = {"plate": [server.url()]}
        write_small_config(tmp_path, small_dataset, resnet18_weights, source="download", urls=urls)
        server.stalls = 1
        part = tmp_path / "resources" / "downloads" / "parts_plate.tar.xz.part"
        with open(tmp_path / "killed.log", "w") as log:
            run = subprocess.Popen(snakemake_command(tmp_path, TABLE), stdout=log, stderr=log)
        job = _job(run, "fetch_category.py", tmp_path)
        while not part.is_file() or part.stat().st_size < len(content) // 3:
            assert run.poll() is None
            time.sleep(0.01)
        job.kill()
        assert run.wait(60) != 0
        again = snakemake(tmp_path, TABLE)
        assert again.returncode == 0, said(again)
        assert server.starts == [0, len(content) // 3]
    assert reports(tmp_path) == reports(small)
    assert left_overs(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "message"), [("/missing", "HTTP 404"), ("/wrong", "cannot be unpacked")]
)
def test_a_failed_download_says_what_to_fetch_and_where_to_put_it(
    small_dataset: Path, resnet18_weights: Path, tmp_path: Path, path: str, message: str
):
    with serving(archive_of(small_dataset, tmp_path / "plate.tar")) as server:
        urls = {"plate": [server.url(path)]}
        write_small_config(tmp_path, small_dataset, resnet18_weights, source="download", urls=urls)
        run = snakemake(tmp_path, TABLE)
    assert run.returncode != 0
    assert message in said(run)
    assert "resources/downloads/parts_plate.tar.xz" in said(run)
    assert not (tmp_path / "resources" / "data" / "parts" / "plate").exists()


def test_a_full_disk_is_named_and_space_is_all_it_needs(
    small: Path, small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    write_small_config(tmp_path, small_dataset, resnet18_weights)
    with mounted(tmp_path / "results", "size=256k"):
        run = snakemake(tmp_path, TABLE)
        assert run.returncode != 0
        assert re.search(r"error: .*no space left on the disk", said(run)), said(run)
        assert "died with" not in said(run)
        assert left_overs(tmp_path) == []
        larger = ["mount", "-o", "remount,size=64m", str(tmp_path / "results")]
        subprocess.run(larger, check=True)
        again = snakemake(tmp_path, TABLE)
        assert again.returncode == 0, said(again)
        assert reports(tmp_path) == reports(small)


def test_a_read_only_results_folder_is_named(
    small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    write_small_config(tmp_path, small_dataset, resnet18_weights)
    with mounted(tmp_path / "results", "ro,size=1m"):
        run = snakemake(tmp_path, TABLE)
    assert run.returncode != 0
    assert re.search(r"[Rr]ead-only file system.*results", said(run)), said(run)
    assert not (tmp_path / TABLE).exists()


@pytest.mark.parametrize("damage", ["truncated", "bit flipped"])
@pytest.mark.parametrize("artefact", [FEATURES, REPLICATES], ids=["features", "replicates"])
def test_a_damaged_file_of_an_earlier_run_is_made_again(
    copy: Path, small: Path, artefact: Path, damage: str
):
    content = bytearray((copy / artefact).read_bytes())
    content[len(content) // 2] ^= 1
    kept = len(content) // 2 if damage == "truncated" else len(content)
    (copy / artefact).write_bytes(content[:kept])
    run = snakemake(copy, TABLE)
    assert run.returncode == 0, said(run)
    assert (copy / artefact).read_bytes() == (small / artefact).read_bytes()
    assert reports(copy) == reports(small)


def test_one_core_gives_the_same_bytes_as_two(
    small: Path, small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    write_small_config(tmp_path, small_dataset, resnet18_weights)
    run = snakemake(tmp_path, "--cores", "1", "--", TABLE)
    assert run.returncode == 0, said(run)
    assert reports(tmp_path) == reports(small)


def test_a_resumed_run_gives_the_same_bytes(
    small: Path, small_dataset: Path, resnet18_weights: Path, tmp_path: Path
):
    write_small_config(tmp_path, small_dataset, resnet18_weights)
    assert snakemake(tmp_path, str(FEATURES)).returncode == 0
    assert snakemake(tmp_path, str(DETECTOR / "scores.tsv")).returncode == 0
    assert snakemake(tmp_path, TABLE).returncode == 0
    assert reports(tmp_path) == reports(small)


def test_names_with_spaces_quotes_and_accents_are_only_names(
    small: Path, dataset_copy: Path, resnet18_weights: Path, tmp_path: Path
):
    name = "plaque n°1; $(touch pwned) 'é'"
    (dataset_copy / "plate").rename(dataset_copy / name)
    (dataset_copy / name / "test" / "dent").rename(dataset_copy / name / "test" / "bosse à gauche")
    masks = dataset_copy / name / "ground_truth"
    (masks / "dent").rename(masks / "bosse à gauche")
    folder = tmp_path / "run"
    folder.mkdir()
    write_small_config(folder, dataset_copy, resnet18_weights, all_categories=[name])
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, said(run)
    assert list(tmp_path.rglob("pwned")) == []
    assert name in (folder / TABLE).read_text()
    assert "bosse à gauche" in (folder / "reports" / "parts_details.md").read_text()
    scores = Path("fre", "resnet18", "model.h5")
    theirs = folder / "results" / "parts" / name / scores
    ours = small / "results" / "parts" / "plate" / scores
    digests = [hashlib.sha256(path.read_bytes()[-1000:]).digest() for path in (theirs, ours)]
    assert digests[0] == digests[1]


def refused(folder: Path, **changes: dict) -> str:
    """What a run with a changed config says; it must not have started anything."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for section, entries in changes.items():
        for name, entry in entries.items():
            config[section][name] |= entry
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.rmtree(folder / "results")
    run = snakemake(folder, TABLE)
    assert run.returncode != 0
    assert not (folder / "results").exists()
    return said(run)


def test_an_unknown_layer_is_refused_before_the_first_job(copy: Path):
    text = refused(copy, methods={"fre": {"layer": "layer33"}})
    assert "config: methods.fre.layer: resnet18 has no layer 'layer33'; the nearest are" in text


def test_an_unknown_backbone_is_refused_before_the_first_job(copy: Path):
    text = refused(copy, methods={"fre": {"backbones": ["resnet81"]}})
    assert "config: methods.fre.backbones: unknown backbone 'resnet81'; the nearest are" in text


def test_too_many_components_are_refused_before_the_first_job(copy: Path):
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["methods"]["fre"] |= {"scorer": "pca_kde", "components": 20}
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    assert "methods.fre needs 22 training images; parts/plate has 16" in refused(copy)


def test_a_share_given_in_percent_is_refused_before_the_first_job(copy: Path):
    text = refused(copy, methods={"fre": {"variance": 97}})
    assert "config: methods.fre.variance: 97 is greater than or equal to the maximum of 1" in text


def test_problems_of_the_images_are_listed_at_once_before_anything_is_computed(
    dataset_copy: Path, resnet18_weights: Path, tmp_path: Path
):
    folder = tmp_path / "run"
    folder.mkdir()
    good = dataset_copy / "plate" / "train" / "good"
    (good / "003.png").write_bytes(b"")
    (good / "004.png").write_bytes((good / "004.png").read_bytes()[:-100])
    (good / "005.png").unlink()
    (good / "005.png").symlink_to("nowhere.png")
    (good / "006.png").rename(os.fsdecode(os.fsencode(good) + b"/gr\xfcn.png"))
    write_small_config(folder, dataset_copy, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode != 0
    for name in ("003.png", "004.png", "005.png"):
        assert re.search(rf"train/good/{name}: cannot be read as an image", said(run))
    assert r"train/good/gr\udcfcn.png: the name is not UTF-8" in said(run)
    assert list(folder.glob("results/**/*.*")) == []


def test_equal_training_images_are_an_error_not_a_nan(
    dataset_copy: Path, resnet18_weights: Path, tmp_path: Path
):
    folder = tmp_path / "run"
    folder.mkdir()
    good = dataset_copy / "plate" / "train" / "good"
    for file in good.iterdir():
        shutil.copy(good / "000.png", file) if file.name != "000.png" else None
    write_small_config(folder, dataset_copy, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode != 0
    assert "error: all training features are equal: there is no variance to analyse" in said(run)
    assert f"warning: {dataset_copy}/plate: 15 images are copies of others" in said(run)


def test_a_test_set_of_one_class_has_no_auroc(
    dataset_copy: Path, resnet18_weights: Path, tmp_path: Path
):
    folder = tmp_path / "run"
    folder.mkdir()
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


def test_images_of_many_kinds_are_used(small_dataset: Path, resnet18_weights: Path, tmp_path: Path):
    dataset, folder = tmp_path / "dataset", tmp_path / "run"
    shutil.copytree(small_dataset / "plate", dataset / "plate")
    folder.mkdir()
    good = dataset / "plate" / "train" / "good"
    for number, mode in enumerate(["L", "P", "RGBA", "CMYK", "1", "LA"]):
        file = good / f"{number:03}.png"
        image = Image.open(file).convert(mode)
        file.unlink()
        image.save(file.with_suffix(".tif") if mode == "CMYK" else file)
    grey = np.asarray(Image.open(good / "006.png").convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(good / "006.png")
    Image.open(good / "007.png").resize((100, 80)).save(good / "007.png")
    write_small_config(folder, dataset, resnet18_weights)
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, said(run)
    assert f"warning: {dataset}/plate: 1 images are not 48×40" in said(run)
    notes = json.loads((folder / "results" / "parts" / "plate" / "notes.json").read_text())
    assert any(note.startswith("1 images are not 48×40") for note in notes)


def test_a_pickle_in_place_of_weights_is_never_loaded(copy: Path, tmp_path: Path):
    import pickle

    class Touch:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "executed",)

    evil = tmp_path / "evil.pth"
    evil.write_bytes(pickle.dumps(Touch()))
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["backbones"]["resnet18"]["weights"] = str(evil)
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(copy, TABLE)
    assert run.returncode != 0
    assert f"{evil}: not a state dict of tensors alone" in said(run)
    assert not (tmp_path / "executed").exists()


def test_the_document_names_every_test_of_this_file():
    document = (ROOT / "docs" / "faults.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", document))
    sources = [path.read_text() for path in (ROOT / "tests").glob("*/test_*.py")]
    existing = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    assert named <= existing
    here = re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.M)
    assert {*here} - {"test_the_document_names_every_test_of_this_file"} <= named


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "table.md"
    target.write_text("old")
    code = (
        "import sys, time; from defectbench.storage import atomic_path\n"
        f"with atomic_path({str(target)!r}) as part:\n"
        "    part.write_text('half'); print('writing', flush=True); time.sleep(int(sys.argv[1]))"
    )
    scripts = ROOT / "workflow" / "scripts"
    command = [sys.executable, "-c", code]
    writer = subprocess.Popen([*command, "60"], cwd=scripts, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    writer.kill()
    writer.wait()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    subprocess.run([*command, "0"], cwd=scripts, check=True)
    assert target.read_text() == "half"
    assert list(tmp_path.iterdir()) == [target]
