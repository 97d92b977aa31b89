"""Results of detectors on generated scores, written by the project's own scripts."""

import runpy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from specifications import specification

from defectbench.evaluation.promises import Asked, promise
from defectbench.images.index import IndexRow, write_index
from defectbench.records import write_held_out, write_scores, write_specified
from defectbench.storage import read_json, write_json

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
RATES = [0.005, 0.01, 0.02, 0.05, 0.1]
LIMITS = {"escapes": 0.05, "false_alarms": 0.10}
# names of categories that must stay what they are
STRANGE = """<img src=x onerror="document.title='broken'"> & 'quote'"""
UNICODE = "Шестерня 齿轮"
CODE = {"code": "0" * 16}
NOTHING = np.empty(0)


class Names(dict):
    """Names and values, as Snakemake gives them to a script."""

    __getattr__ = dict.__getitem__

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


def run_script(name: str, folder: Path, **given: Mapping[str, Any]) -> None:
    """Run a rule's script with inputs, outputs, params and wildcards of a test's own."""
    log = folder / "log.txt"
    snakemake = SimpleNamespace(log=[str(log)], **{key: Names(v) for key, v in given.items()})
    try:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), {"snakemake": snakemake}, "__main__")
    except SystemExit as error:
        raise AssertionError(log.read_text()) from error


PROMISE = promise(np.arange(209.0), [""] * 209, Asked(0.05)) | {"threshold": 1234.5678}

NO_RATE = dict.fromkeys(("threshold", "escape_rate", "escape_rate_interval"))
NO_RATE |= {"groups": 18, "needed": 19}


def made_metrics(category: str, method: str, auroc: float | None, **other: Any) -> dict[str, Any]:
    """Metrics of a detector on a category that differ from others in AUROC and what is given."""
    figures = {"image_auroc": auroc, "aupr": 0.5, "trivial_f1": 0.66}
    for threshold, f1 in (("oracle", 0.9), ("honest", 0.7)):
        figures |= {
            f"{threshold}_f1": f1,
            f"{threshold}_balanced_accuracy": 0.8,
            f"{threshold}_recall": 0.75,
            f"{threshold}_false_positive_rate": 0.05,
            f"{threshold}_true_positives": 60,
            f"{threshold}_false_positives": 1,
            f"{threshold}_false_negatives": 3,
            f"{threshold}_true_negatives": 19,
        }
    intervals = {"honest_f1": [0.6, 0.8], "honest_recall": [0.7, 0.8]}
    if auroc is not None:
        intervals["image_auroc"] = [auroc - 0.02, auroc + 0.02]
    return {
        "category": category,
        "method": method,
        "backbone": "resnet18",
        "false_positive_rate": 0.05,
        "seed": 42,
        "images": {"train": 209, "calibration": 0, "test_good": 20, "test_defective": 63},
        "metrics": figures,
        "intervals": intervals,
        "reasons": {"image_auroc": "no good test image"} if auroc is None else {},
        "thresholds": {"oracle": 1.5, "honest": 1234.5678},
        "promise": PROMISE,
        "held_out": PROMISE,
        "held_out_images": 209,
        "cautions": [],
        "flags": [],
        "set_by": None,
        "at_rate": NO_RATE,
        "found_by_size": None,
        "specification": specification(),
        **other,
    }


def write_cell(
    root: Path,
    dataset: str,
    category: str,
    detector: tuple[str, str],
    images: Sequence[tuple[str, int, str]],
    scores: np.ndarray,
    held_out: np.ndarray,
    calibration: np.ndarray = NOTHING,
) -> Path:
    """Everything of one detector on one category; images are path, label and defect type."""
    folder = root / "results" / dataset / category / detector[0] / detector[1]
    folder.mkdir(parents=True)
    rows = [IndexRow(path, "test", label, kind, "", 8, 8, "L", "") for path, label, kind in images]
    write_scores(folder / "scores.tsv", rows, scores)
    write_index(folder / "index.tsv", rows)
    count = len(held_out)
    train = [IndexRow(f"{k}.png", "train", 0, "good", "", 8, 8, "L", "") for k in range(count)]
    write_held_out(
        folder / "held_out_scores.tsv", train, [np.array([k]) for k in range(count)], held_out
    )
    good = [
        IndexRow(f"calibration/good/{k}.png", "calibration", 0, "good", "", 8, 8, "L", "")
        for k in range(len(calibration))
    ]
    write_index(folder.parents[1] / "index.tsv", [*rows, *train, *good])
    together = [np.arange(len(good))] if good else []
    write_held_out(folder / "calibration_scores.tsv", good, together, calibration)
    made = specification(versions={"numpy": np.__version__})
    write_specified(folder / "model.h5", {}, made)
    write_json(folder / "held_out_check.json", {"warnings": []})
    write_json(folder.parents[1] / "notes.json", [])
    write_cost(folder)
    write_json(folder / "without_decisive.json", None)
    names = {"index": "index.tsv", "model": "model.h5", "scores": "scores.tsv"}
    names |= {"held_out": "held_out_scores.tsv", "without_decisive": "without_decisive.json"}
    names |= {"calibration": "calibration_scores.tsv"}
    run_script(
        "metrics",
        folder,
        input={name: folder / file for name, file in names.items()},
        output={"metrics": folder / "metrics.json", "replicates": folder / "replicates.h5"},
        params={"seed": 42, "false_positive_rate": 0.05, "rule": "average", "code": CODE},
        wildcards={
            "dataset": dataset,
            "category": category,
            "method": detector[0],
            "backbone": detector[1],
        },
    )
    return folder


def write_cost(folder: Path, milliseconds: float = 1.0) -> None:
    cost = {
        "fit_cpu_seconds": 1.5,
        "extract_ms_per_image": None,
        "score_cpu_ms_per_image": milliseconds,
        "peak_mb": 400 + milliseconds,
        "model_bytes": 2_000_000,
    }
    write_json(folder / "cost.json", cost)


def write_speed(cells: Sequence[Path]) -> list[str]:
    """Times of the detectors: extraction 20 ms, and as many as `write_cost` says for scoring."""
    files = []
    for category in dict.fromkeys(cell.parents[1] for cell in cells):
        found = {
            "/".join(cell.parts[-3:]): 20 + read_json(cell / "cost.json")["score_cpu_ms_per_image"]
            for cell in cells
            if cell.parents[1] == category
        }
        made = {"machine": "Some Processor, 2 CPUs", "device": "CPU", "threads": 2}
        write_json(category / "speed.json", {**made, "taken_by_others": 0.0, "milliseconds": found})
        files.append(str(category / "speed.json"))
    return files


def write_images(root: Path, category: str, paths: Sequence[str]) -> Path:
    """A folder of photographs: one picture under many names, for its content does not matter."""
    folder = root / "data" / category
    rng = np.random.default_rng(len(category))
    coarse = rng.integers(60, 200, (32, 32, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((256, 256)), int)
    noisy = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)
    first = None
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if first is None:
            Image.fromarray(noisy).save(file)
            first = file
        else:
            file.hardlink_to(first)
    return folder


def write_page(
    root: Path,
    dataset: str,
    cells: Sequence[Path],
    folders: Sequence[Path],
    costs: Mapping[str, float] | None = None,
    categories: Sequence[str] = (),
    new_images: Sequence[Path] = (),
    studies: Sequence[Path] = (),
) -> Path:
    """The page of some cells and of their folders of images, by the rules' scripts."""
    categories = list(categories or dict.fromkeys(cell.parents[1].name for cell in cells))
    page = root / "reports" / f"{dataset}.html"
    run_script(
        "page",
        root,
        input={
            **inputs_of(cells),
            "decision": run_table(root, dataset, cells, categories, costs),
            "images": [str(folder) for folder in folders],
            "new_images": [str(folder) for folder in new_images],
            "studies": [str(file) for file in studies],
            "chosen_by": [],
            "speed": write_speed(cells),
        },
        output={"page": page, "record": page.with_name(f"{dataset}_run.json")},
        params={
            "categories": categories,
            "asked": 0.05,
            "source": "folder",
            "exportable": ["/".join(cell.parts[-3:]) for cell in cells],
            "settings": f"datasets:\n  {dataset}: {{source: folder}}\n",
            "command": "snakemake --configfile my.yaml",
        },
        wildcards={"dataset": dataset},
    )
    return page


def run_table(
    root: Path,
    dataset: str,
    cells: Sequence[Path],
    categories: Sequence[str],
    costs: Mapping[str, float] | None = None,
) -> Path:
    """Decision, table and their twins of some cells, by the rule's script; the decision's file."""
    outputs = {"markdown": "table.md", "details": "details.md", "csv": "table.csv"}
    outputs |= {"points": "operating_points.csv", "cost": "cost.md"}
    files = {key: root / "reports" / f"{dataset}_{name}" for key, name in outputs.items()}
    files["decision"] = root / "reports" / f"{dataset}.json"
    run_script(
        "table",
        root,
        input=inputs_of(cells) | {"published": [], "speed": write_speed(cells)},
        output=files,
        params={
            "rates": RATES,
            "costs": costs,
            "defective_share": 0.01 if costs else None,
            "limits": LIMITS,
            "categories": categories,
        },
        wildcards={"dataset": dataset},
    )
    return files["decision"]


def inputs_of(cells: Sequence[Path]) -> dict[str, list[str]]:
    """What the rules `table` and `page` name of some cells, as far as it was written."""
    categories = list(dict.fromkeys(cell.parents[1] for cell in cells))
    files = {
        "metrics": (cells, "metrics.json"),
        "replicates": (cells, "replicates.h5"),
        "scores": (cells, "scores.tsv"),
        "held_out": (cells, "held_out_scores.tsv"),
        "calibration": (cells, "calibration_scores.tsv"),
        "held_out_checks": (cells, "held_out_check.json"),
        "costs": (cells, "cost.json"),
        "pixel_metrics": (cells, "pixel_metrics.json"),
        "maps": (cells, "maps.h5"),
        "index": (categories, "index.tsv"),
        "notes": (categories, "notes.json"),
    }
    return {
        key: [str(folder / name) for folder in folders if (folder / name).is_file()]
        for key, (folders, name) in files.items()
    }
