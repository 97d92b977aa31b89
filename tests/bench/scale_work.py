"""What a process of the scale benchmark does: generate features, or score them.

The checkout on ``PYTHONPATH`` may be an older one. It scores what this one generated, so only the
script of its rule `scores` has to be known, and the names by which Snakemake hands it its inputs.
"""

import json
import resource
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

CAUSES = 256
"""Independent causes of the features; the variance of the j-th is 1 / j."""

MAP_CAUSES, MAP_GRID = 32, 8
"""Causes of one place of a map, which change from one to the next of so many places in a row."""

NOISE = 0.02
"""Share of the variance that is noise."""

GENERATED = 100
"""Images that are generated at once."""

SCRIPTS = ("scores.py", "score_images.py")
"""Names of the rule's script, the newest first."""


class Named(SimpleNamespace):
    """Values by name, and by position, as Snakemake hands them to a script."""

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self).values())


def generate(folder: str, train: int, test: int, shape: Sequence[int]) -> None:
    """Write index and features as rule `features` leaves them, with their cost of extraction.

    Half of the test images are defective.
    """
    from defectbench.images.index import IndexRow, write_index
    from defectbench.storage import create_array, create_h5, write_json

    names = [f"test/{i:07}.png" for i in range(test)] + [f"train/{i:07}.png" for i in range(train)]
    labels = [int(i < test // 2) for i in range(len(names))]
    rows = [
        IndexRow(name, name.split("/")[0], label, ("good", "defective")[label])
        for name, label in zip(names, labels, strict=True)
    ]
    write_index(Path(folder, "index.tsv"), rows)
    write_json(Path(folder, "extraction_cost.json"), {"/": 0.0})
    rng = np.random.default_rng(42)
    draw = vectors(rng, *shape) if len(shape) == 1 else maps(rng, *shape)
    made = {"provenance": {"code": {"features": ""}, "preprocessing": {}}}
    with create_h5(Path(folder, "features.h5"), made) as file:
        array = create_array(file, "X", (len(rows), *shape), "float32")
        for start in range(0, len(rows), GENERATED):
            defective = np.array(labels[start : start + GENERATED], bool)
            array[start : start + GENERATED] = draw(defective)


def vectors(rng: np.random.Generator, dimensions: int) -> Callable[[np.ndarray], np.ndarray]:
    """Function that draws vectors, of which defective ones lie aside."""
    scales = (1 / np.arange(1, CAUSES + 1)) ** 0.5
    mixing = (scales[:, None] * rng.standard_normal((CAUSES, dimensions))).astype(np.float32)
    noise = np.float32((NOISE * (scales**2).sum()) ** 0.5)
    aside = rng.standard_normal(dimensions, np.float32)

    def draw(defective: np.ndarray) -> np.ndarray:
        found = rng.standard_normal((len(defective), CAUSES), np.float32) @ mixing
        found += noise * rng.standard_normal(found.shape, np.float32)
        found[defective] += aside
        return found

    return draw


def maps(
    rng: np.random.Generator, channels: int, height: int, width: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Function that draws maps, of which defective ones have a spot."""
    scales = (1 / np.arange(1, MAP_CAUSES + 1)) ** 0.5
    mixing = (scales * rng.standard_normal((channels, MAP_CAUSES))).astype(np.float32)
    noise = np.float32((NOISE * (scales**2).sum()) ** 0.5)
    usual = rng.standard_normal((MAP_CAUSES, MAP_GRID, MAP_GRID), np.float32)
    rows, columns = np.arange(height) * MAP_GRID // height, np.arange(width) * MAP_GRID // width
    aside = 3 * rng.standard_normal((channels, 1, 1), np.float32)

    def draw(defective: np.ndarray) -> np.ndarray:
        causes = usual + rng.standard_normal((len(defective), *usual.shape), np.float32)
        places = causes[:, :, rows][..., columns].reshape(len(defective), MAP_CAUSES, -1)
        found = (mixing @ places).reshape(-1, channels, height, width)
        found += noise * rng.standard_normal(found.shape, np.float32)
        found[defective, :, height // 4 : height // 2, width // 4 : width // 2] += aside
        return found

    return draw


def score(root: str, folder: str, output: str, scorer: str, parameters: Mapping[str, Any]) -> None:
    """Run the script of rule `scores` of the checkout `root`."""
    scripts = Path(root, "workflow", "scripts")
    script = next(scripts / name for name in SCRIPTS if (scripts / name).exists())
    suffixes = {"model": "h5", "maps": "h5", "scores": "tsv", "held_out": "tsv"}
    suffixes |= {"calibration": "tsv", "without_decisive": "json", "check": "json", "cost": "json"}
    snakemake = SimpleNamespace(
        log=[f"{output}/scores.log"],
        input=Named(
            index=f"{folder}/index.tsv",
            features=f"{folder}/features.h5",
            extraction_cost=f"{folder}/extraction_cost.json",
        ),
        output=Named(**{name: f"{output}/{name}.{suffix}" for name, suffix in suffixes.items()}),
        params=Named(
            scorer=scorer,
            parameters=parameters,
            layers=["X"],
            features_group="/",
            group="/",  # as it was called before
            groups="",
            trimmed=0,
            folds=5,
            seed=42,
            code={"code": ""},
        ),
        wildcards=Named(dataset="bench", category="made", method=scorer, backbone="given"),
    )
    runpy.run_path(str(script), {"snakemake": snakemake}, "__main__")


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    limit = task.pop("address_space", resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    {"generate": generate, "score": score}[task.pop("do")](**task)
