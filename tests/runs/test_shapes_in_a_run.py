"""Rectangles, images of several shapes and tiles, from the images to an exported detector."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from runs import said, snakemake
from scipy import ndimage

from defectbench.deployment.detector import Detector
from defectbench.map_file import open_maps
from defectbench.records import read_scores, read_specification
from defectbench.storage import read_json

LITE0 = {"backbones": ["efficientnet_lite0"]}
PREPROCESSINGS = {
    "wide": {"interpolation": "lanczos", "size": [96, 128]},
    "keep128": {"interpolation": "lanczos", "size": 128, "aspect": "keep"},
    "tiles": {
        "interpolation": "lanczos",
        "size": "original",
        "tiles": {"size": 64, "overlap": 32},
    },
}
PATCHCORE = {"scorer": "patchcore", "coreset": 0.1, "layers": ["blocks.2", "blocks.4"]}
METHODS: dict[str, dict[str, Any]] = {
    "wide": PATCHCORE | {"preprocessing": "wide"},
    "keep": PATCHCORE | {"preprocessing": "keep128"},
    "keep_fre": {"scorer": "pca_fre", "layer": "blocks.2", "preprocessing": "keep128"},
    "tiled": PATCHCORE | {"preprocessing": "tiles"},
    "tiled_vectors": {
        "scorer": "nearest_neighbour",
        "layer": "global_pool",
        "preprocessing": "tiles",
    },
}
SEAM = slice(40, 56), slice(60, 76)
"""Where the defect is: across the edges of tiles, of which there are two rows and three columns."""


def part(rng: np.random.Generator, height: int = 96, width: int = 128) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    pixels = 120 + 30 * np.sin(rows / 9 + rng.uniform(0, 0.3)) * np.cos(columns / 11)
    return (pixels[..., None] + rng.normal(0, 3, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of 128×96 with a defect on a seam of tiles, and one of another shape."""
    folder, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(42)

    def save(place: str, pixels: np.ndarray) -> None:
        (folder / "plate" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "plate" / place)

    for number in range(20):
        save(f"train/good/{number:02}.png", part(rng))
    for number in range(10):
        save(f"test/good/{number:02}.png", part(rng))
        bad, mask = part(rng), np.zeros((96, 128), np.uint8)
        bad[SEAM] = 250
        mask[SEAM] = 255
        save(f"test/spot/{number:02}.png", bad)
        save(f"ground_truth/spot/{number:02}_mask.png", mask)
    save("test/good/odd.png", part(rng, 96, 64))
    return folder


def write_settings(folder: Path, parts: Path, methods: list[str]) -> None:
    entry = {"source": "folder", "path": str(parts), "methods": methods}
    config = {
        "device": "cpu",
        "datasets": {"parts": entry},
        "preprocessings": PREPROCESSINGS,
        "methods": {name: method | LITE0 for name, method in METHODS.items()},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture(scope="module")
def run(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("run")
    write_settings(folder, parts, ["wide", "keep", "keep_fre", "tiled", "tiled_vectors"])
    found = snakemake(folder, "--", "reports/parts_detectors.md", "reports/parts.html")
    assert found.returncode == 0, said(found)
    return folder / "results" / "parts" / "plate"


def cell(run: Path, method: str) -> Path:
    return run / method / "efficientnet_lite0"


@pytest.mark.parametrize("method", METHODS)
def test_every_defect_scores_above_every_good_part_of_its_shape(run: Path, method: str):
    test = read_scores(cell(run, method) / "scores.tsv")
    usual = np.array([not path.endswith("odd.png") for path in test.paths])
    assert test.scores[test.labels == 1].min() > test.scores[(test.labels == 0) & usual].max()


@pytest.mark.parametrize("method", METHODS)
def test_the_canvas_has_the_shape_of_the_images(run: Path, method: str):
    specification = read_specification(cell(run, method) / "model.h5")
    assert specification["preprocessing"].get("canvas", [96, 128]) == [96, 128]


@pytest.mark.parametrize("method", ["wide", "keep", "tiled"])
def test_the_map_marks_the_defect_as_one_region_where_it_is(run: Path, method: str):
    with open_maps(cell(run, method) / "maps.h5") as (maps, _):
        found, held_out = maps["test"][:], maps["held_out"][:]
    labels = read_scores(cell(run, method) / "scores.tsv").labels
    assert found.shape[1:] == (192, 256)
    for anomaly_map in found[labels == 1]:
        marked = anomaly_map > held_out.max()
        _, regions = ndimage.label(marked)
        assert regions == 1
        rows, columns = (np.flatnonzero(marked.any(axis=axis)).mean() for axis in (1, 0))
        np.testing.assert_allclose([rows / 192, columns / 256], [0.5, 68 / 128], atol=0.06)


def test_what_an_image_of_another_shape_lacks_is_no_anomaly(run: Path):
    test = read_scores(cell(run, "keep") / "scores.tsv")
    odd = test.scores[test.paths.index("test/good/odd.png")]
    assert odd < test.scores[test.labels == 1].min()
    with open_maps(cell(run, "keep_fre") / "maps.h5") as (maps, _):
        maps_of_fre = maps["test"][:]
    own = maps_of_fre[test.paths.index("test/good/odd.png")]
    middle = slice(own.shape[1] // 4, 3 * own.shape[1] // 4)
    beyond = np.delete(own, np.r_[middle], axis=1)
    assert beyond.mean() < 0.3 * own[:, middle].mean()


@pytest.mark.parametrize("method", METHODS)
def test_its_exported_detector_says_the_same(run: Path, parts: Path, method: str):
    card = read_json(cell(run, method) / "detector_cost.json")
    follows = METHODS[method]["preprocessing"] != "wide"
    assert card["proof"]["images"] == 21 - follows
    assert card["proof"]["left_out"] == follows
    assert card["proof"]["verdict_flips"] == 0
    detector = Detector(cell(run, method) / "detector.onnx", 1)
    with Image.open(parts / "plate" / "test" / "spot" / "00.png") as image:
        pixels = np.asarray(image)
    test = read_scores(cell(run, method) / "scores.tsv")
    expected = test.scores[test.paths.index("test/spot/00.png")]
    np.testing.assert_allclose(detector.score(pixels[None]).scores, expected, rtol=1e-4)


def test_the_page_tells_how_large_a_defect_has_to_be(run: Path):
    page = (run.parents[2] / "reports" / "parts.html").read_text(encoding="utf-8")
    assert "<h2>Found by size</h2>" in page
    assert "Defects are found nine times in ten from about 260 px of the image on" in page


def test_a_scorer_that_compares_places_does_not_take_squashed_images_of_several_shapes(
    parts: Path, tmp_path: Path
):
    write_settings(tmp_path, parts, ["keep_fre"])
    file = tmp_path / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["methods"]["keep_fre"]["preprocessing"] = "wide"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    found = snakemake(tmp_path, "--", "reports/parts_table.md")
    errors = [line for line in said(found).splitlines() if line.startswith("error")]
    assert found.returncode == 1
    assert len(errors) == 1
    assert "methods.keep_fre compares each place with itself" in errors[0]
    assert "2 shapes (40 like 128×96, 1 like 64×96)" in errors[0]
    assert "Traceback" not in said(found)
