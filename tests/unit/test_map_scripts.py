"""The rules of maps, run on small categories: what is measured and drawn, and what is left out."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from specifications import specification
from squares import to_square

from defectbench.images.index import IndexRow, write_index
from defectbench.records import write_held_out, write_metrics, write_scores, write_specified
from defectbench.storage import read_json

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


class Cell:
    """Two good and two dented images of different sizes, and a detector that sees the dents."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        self.rows, maps = [], []
        self.preprocessing, self.resolution = {}, "original"
        self.calibration = range(0)  # numbers of the images that set the threshold
        for number, (defect, width, height) in enumerate(
            [("dent", 40, 30), ("dent", 64, 64), ("good", 50, 20), ("good", 40, 30)]
        ):
            path = f"test/{defect}/{number}.png"
            mask = f"ground_truth/{defect}/{number}_mask.png" if defect == "dent" else ""
            pixels = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
            self.save(path, pixels)
            anomaly_map = rng.gamma(2, 1, (8, 8)).astype(np.float32)
            if mask:
                marked = np.zeros((height, width), np.uint8)
                marked[: height // 2, : width // 2] = 255
                self.save(mask, marked)
                anomaly_map[:4, :4] += 6
            label = int(defect == "dent")
            self.rows.append(IndexRow(path, "test", label, defect, mask, width, height, "RGB", "0"))
            maps.append(anomaly_map)
        self.maps = {"test": np.stack(maps), "held_out": rng.gamma(2, 1, (40, 8, 8))}

    def save(self, path: str, pixels: np.ndarray) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(self.folder / path)

    def marked(self, row: IndexRow) -> np.ndarray:
        """A map that is right."""
        marked = np.zeros((row.height, row.width), np.float32)
        marked[: row.height // 2, : row.width // 2] = 6 * bool(row.mask)
        return marked

    def without_masks(self, *rows: int) -> None:
        for row in rows:
            self.rows[row] = IndexRow(**{**vars(self.rows[row]), "mask": ""})

    def run(self, script: str, **output: str) -> None:
        files = {
            "index": "index.tsv",
            "maps": "maps.h5",
            "scores": "scores.tsv",
            "held_out": "held_out_scores.tsv",
            "calibration": "calibration_scores.tsv",
            "metrics": "metrics.json",
            "pixel_metrics": "pixel_metrics.json",
        }
        inputs = {name: str(self.folder / file) for name, file in files.items()}
        write_index(Path(inputs["index"]), self.rows)
        made = specification(preprocessing=self.preprocessing)
        write_specified(inputs["maps"], self.maps, made)
        write_scores(inputs["scores"], self.rows, np.array([5.0, 0.5, 0.0, 0.0]))
        good = [IndexRow(f"{number:02}", "train", 0, "good") for number in range(40)]
        write_held_out(inputs["held_out"], good, np.arange(40)[:, None], np.zeros(40))
        calibration = [IndexRow(f"{n:02}", "calibration", 0, "good") for n in self.calibration]
        together = [np.arange(len(calibration))] if calibration else []
        write_held_out(inputs["calibration"], calibration, together, np.zeros(len(calibration)))
        write_metrics(inputs["metrics"], {"thresholds": {"honest": 1.0}, "specification": made})
        job = SimpleNamespace(
            input=SimpleNamespace(category=str(self.folder), **inputs),
            output=SimpleNamespace(**{name: str(self.folder / o) for name, o in output.items()}),
            params=SimpleNamespace(
                seed=42,
                false_positive_rate=0.05,
                rule="average",
                resolution=self.resolution,
                every_image=True,
                code={"code": "0"},
            ),
            wildcards={"category": "plate"},
            log=[str(self.folder / "job.log")],
        )
        runpy.run_path(str(SCRIPTS / script), init_globals={"snakemake": job})

    def evaluate(self) -> dict:
        self.run("pixel_metrics.py", metrics="pixel_metrics.json")
        return read_json(self.folder / "pixel_metrics.json")


def padded(marked: np.ndarray) -> np.ndarray:
    """A square around a map, with a glow in all that is added."""
    ends = [((max(marked.shape) - n) // 2, (max(marked.shape) - n + 1) // 2) for n in marked.shape]
    return np.pad(marked, ends, constant_values=9)


def to_side(square: np.ndarray, side: int = 640) -> np.ndarray:
    """The map at the resolution that all maps have, its edges as sharp."""
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.NEAREST))


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


def test_images_of_different_sizes_are_measured_at_their_own(cell: Cell):
    result = cell.evaluate()
    assert result["pixels"]["defective"] == 20 * 15 + 32 * 32
    assert sum(result["pixels"].values()) == 40 * 30 + 64 * 64 + 50 * 20 + 40 * 30
    assert result["regions"] == 2
    assert result["metrics"]["pixel_auroc"] > 0.9
    assert [row["defect"] for row in result["defects"]] == ["dent"]
    assert result["specification"]["scorer"] == "pca_fre"


def test_the_pixel_threshold_is_that_of_calibration_images_where_there_are_some(cell: Cell):
    held_out = cell.evaluate()["pixel_threshold"]
    cell.calibration = range(30)
    cell.maps["calibration"] = cell.maps["held_out"][:30] + 5
    found = cell.evaluate()
    assert found["pixel_threshold"] == np.nextafter(cell.maps["calibration"].max(), np.inf)
    assert found["pixel_threshold"] > held_out


@pytest.mark.parametrize("resolution", ["original", 32])
def test_maps_of_padded_images_are_measured_on_the_images_alone(cell: Cell, resolution: int | str):
    """What glows in the padding alone is no false alarm: it is not in the image."""
    cell.resolution = resolution
    squashed = cell.evaluate()
    cell.preprocessing = {"aspect": "pad"}
    cell.maps["test"] = np.stack([to_side(padded(cell.marked(row))) for row in cell.rows])
    result = cell.evaluate()
    assert result["pixels"] == squashed["pixels"]
    assert result["metrics"]["pixel_auroc"] == 1


def test_defects_outside_a_crop_count_as_missed(cell: Cell):
    cell.preprocessing = {"aspect": "crop"}
    cell.maps["test"] = np.stack([to_side(to_square(cell.marked(r), "crop")) for r in cell.rows])
    unseen, defective = 5 * 15, 20 * 15 + 32 * 32  # 5 of the 20 columns marked in the first image
    result = cell.evaluate()
    assert result["pixels"]["defective"] == defective
    expected = 1 - unseen / defective / 2  # as high as all of the background
    assert result["metrics"]["pixel_auroc"] == pytest.approx(expected)


def test_a_defective_image_without_a_mask_is_left_out_and_counted(cell: Cell):
    cell.without_masks(0)
    result = cell.evaluate()
    assert result["left_out"] == 1
    assert sum(result["pixels"].values()) == 64 * 64 + 50 * 20 + 40 * 30


def test_a_category_without_masks_has_no_figures_and_says_why(cell: Cell):
    cell.without_masks(0, 1)
    result = cell.evaluate()
    assert result["reason"] == "no defective image has a mask"
    assert set(result["metrics"].values()) == {None}
    assert result["pixel_threshold"] is not None


def test_a_method_without_maps_has_no_figures_and_no_pictures(cell: Cell):
    cell.maps = {}
    assert cell.evaluate()["reason"] == "the method does not localize"
    cell.run("maps.py", pictures="overlays")
    assert [file.name for file in (cell.folder / "overlays").iterdir()] == ["index.json"]


def test_maps_that_are_not_finite_are_refused(cell: Cell):
    cell.maps["test"][2, 3, 3] = np.inf
    with pytest.raises(SystemExit):
        cell.evaluate()
    assert "1 maps hold scores that are not finite, the first in row 2" in (
        (cell.folder / "job.log").read_text()
    )


def test_results_and_pictures_are_the_same_bytes_each_time(cell: Cell):
    def contents() -> list[bytes]:
        cell.evaluate()
        cell.run("maps.py", pictures="overlays")
        made = sorted((cell.folder / "overlays").iterdir())
        assert [file.suffix for file in made] == [".webp"] * 4 + [".json"]
        return [file.read_bytes() for file in [*made, cell.folder / "pixel_metrics.json"]]

    assert contents() == contents()


def test_the_list_of_pictures_names_files_that_are_there(cell: Cell):
    cell.evaluate()
    cell.run("maps.py", pictures="overlays")
    pictures = read_json(cell.folder / "overlays" / "index.json")["pictures"]
    assert [picture["verdict"] for picture in pictures] == ["found", "missed", "passed", "passed"]
    for picture in pictures:
        with Image.open(cell.folder / "overlays" / picture["file"]) as image:
            assert image.format == "WEBP"
