"""`make best`: killed it goes on, what it finds is what a benchmark of it measures."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import make_category
from held import StartedRun
from runs import ROOT, checked, edited_config, said, snakemake, write_config

from defectbench.records import read_held_out, read_scores
from defectbench.storage import read_json

BEST = "reports/parts_best.md"
SEARCH = Path("results/parts/plate/search")
TRAIN = 100


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A category with 5 good and 7 defective test images; read-only by agreement."""
    return make_category(tmp_path_factory.mktemp("many") / "plate", 3, "RGB", TRAIN).parent


def started(folder: Path, images: Path, weights: Path, **search: object) -> Path:
    """A folder with the config of a search on a network of random weights."""
    folder.mkdir(exist_ok=True)
    write_config(
        folder,
        images,
        datasets={"parts": {"source": "folder", "path": str(images), "methods": ["fre"]}},
        methods={
            "fre": {
                "scorer": "pca_fre",
                "layer": "layer1",
                "pool": 2,
                "preprocessing": "lanczos64",
                "backbones": ["resnet18"],
            }
        },
        backbones={"resnet18": {"weights": str(weights)}},
        search={"backbones": ["resnet18"], "budget": 20, **search},
    )
    return folder


@pytest.fixture(scope="module")
def killed(
    images: Path, resnet18_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[Path, int]]:
    """A search that was killed and went on, and the trials that were there when it was killed."""
    folder = started(tmp_path_factory.mktemp("search") / "run", images, resnet18_weights)
    with StartedRun(folder, BEST, held="search.py", after=9) as run:
        run.job("search.py")
    there = {
        file: file.stat().st_mtime_ns for file in (folder / SEARCH / "trials").rglob("part*.json")
    }
    again = snakemake(folder, BEST)
    assert again.returncode == 0, said(again)
    return folder, there


def test_a_killed_search_repeats_no_trial(killed: tuple[Path, dict[Path, int]]):
    folder, there = killed
    assert there
    assert all(file.stat().st_mtime_ns == time for file, time in there.items())
    found = read_json(folder / SEARCH / "found.json")
    made = list((folder / SEARCH / "trials").rglob("part*.json"))
    assert found["budget"] == f"{len(made)} of 20 trials"  # those of before count
    assert found["parts"] == [32, 45, 112]


def test_features_are_gone_at_the_end(killed: tuple[Path, dict[Path, int]]):
    folder, _ = killed
    assert not list((folder / SEARCH).rglob("features.h5"))


def test_the_benchmark_of_what_was_found_measures_the_same(
    killed: tuple[Path, dict[Path, int]],
):
    folder, _ = killed
    found = read_json(folder / SEARCH / "found.json")
    (method,) = found["config"]["methods"]
    settings = folder / "reports" / "parts_best" / "plate.yaml"
    if found["best"] is None:  # random weights may find nothing: the first one's entries then
        pytest.skip("nothing to recommend")
    own = yaml.safe_load(settings.read_text())
    assert own["methods"][method]["backbones"] == ["resnet18"]
    run = snakemake(folder, "--configfile", str(settings), "--", "reports/parts_plate.html")
    assert run.returncode == 0, said(run)
    made = folder / "results" / "parts_plate" / "plate" / method / "resnet18"
    tried = folder / SEARCH / "trials" / method
    # to rounding: a search gives its detectors all threads, a benchmark one
    test, again = (read_scores(folder / "scores.tsv") for folder in (made, tried))
    held_out, held_out_again = (
        read_held_out(folder / "held_out_scores.tsv") for folder in (made, tried)
    )
    assert test.paths == again.paths
    assert held_out.paths == held_out_again.paths
    np.testing.assert_allclose(test.scores, again.scores, rtol=1e-6)
    np.testing.assert_allclose(held_out.scores, held_out_again.scores, rtol=1e-6)
    page = (folder / "reports" / "parts_plate.html").read_text()
    assert "How this was chosen" in page
    assert "Tried on all images, the best first (6)" in page


def test_a_larger_budget_goes_on_from_what_is_there(killed: tuple[Path, dict[Path, int]]):
    folder, there = killed
    before = len(read_json(folder / SEARCH / "found.json")["tried"])
    with edited_config(folder) as config:
        config["search"]["budget"] = 40
    run = snakemake(folder, BEST)
    assert run.returncode == 0, said(run)
    assert len(read_json(folder / SEARCH / "found.json")["tried"]) > before
    assert all(file.stat().st_mtime_ns == time for file, time in there.items())


@pytest.mark.parametrize(
    ("search", "line"),
    [
        ({"max_ms": 0.001}, r"ms from file to score, and MAX_MS is 0.001"),
        ({"disk": "1MB"}, r"GB with those that are there, and DISK is 0.001 GB"),
        ({"backbones": ["resnet19"]}, "search.backbones: unknown backbone of a search 'resnet19'"),
    ],
)
def test_what_nothing_meets_ends_in_one_line(
    images: Path, resnet18_weights: Path, tmp_path: Path, search: dict, line: str
):
    folder = started(tmp_path / "run", images, resnet18_weights, **search)
    run = snakemake(folder, BEST)
    assert run.returncode != 0
    (told,) = (text for text in said(run).splitlines() if line in text)
    assert "Traceback" not in said(run)
    assert told
    assert not (folder / BEST).exists()


def test_without_defective_images_stability_and_time_are_compared(
    resnet18_weights: Path, tmp_path: Path
):
    images = make_category(tmp_path / "data" / "plate", 3, "RGB", 30)
    for defect in ("dent", "scratch"):
        for file in (images / "test" / defect).iterdir():
            file.unlink()
    folder = started(tmp_path / "run", images.parent, resnet18_weights, budget=12)
    run = snakemake(folder, BEST)
    assert run.returncode == 0, said(run)
    assert "nothing is promised of what is found" in (folder / BEST).read_text()


def test_images_without_methods_get_the_default_line_up_and_it_is_said_what_it_costs(
    images: Path, tmp_path: Path
):
    settings = tmp_path / "my.yaml"
    settings.write_text(
        yaml.safe_dump({"datasets": {"parts": {"source": "folder", "path": str(images)}}})
    )
    run = checked(tmp_path, str(settings))
    assert run.returncode == 0, said(run)
    default = yaml.safe_load((ROOT / "config.yaml").read_text())["default_methods"]
    assert f"  detectors: {', '.join(default)} (the default ones" in run.stdout
    assert "auto: of 48×40 the network sees 256×224" in run.stdout
    assert "nothing has run here yet; the default line-up on MVTec AD's bottle" in run.stdout
