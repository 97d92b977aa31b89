"""Many categories, backbones and methods: what is shared, what is kept, and where time goes."""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inputs import PREPROCESSINGS, dfkde, fre, given_features, image_config, make_weights
from measuring import (
    Project,
    Usage,
    alternate,
    ask,
    comparison,
    spread,
    stage_seconds,
    table,
    times_faster,
)
from one_category import work_alone

CORES = "2"
FIRST_BACKBONES, ADDED_BACKBONE = ["resnet18", "resnet50"], "wide_resnet50_2"


def small_categories(
    scratch: Path, categories: Path, projects: Sequence[Project], rounds: int
) -> str:
    """All categories of a folder with one backbone, cold, on two cores."""
    weights = make_weights(scratch, ["resnet18"])
    config = image_config(categories, weights, {"fre": fre(["resnet18"])})
    found = _cold(scratch, config, projects, rounds)
    number, images = _counts(categories)
    title = f"## {number} categories of {images // number} images, resnet18, cold, {CORES} cores"
    return f"{title}\n\n{comparison(found, _references(projects))}"


def light_stages(
    scratch: Path, categories: int, methods: int, projects: Sequence[Project], rounds: int
) -> str:
    """What is left where features are given."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        config = given_features(Path(name), categories, methods)
        found = _cold(scratch, config, projects, rounds)
    title = f"## Light stages: {categories} categories × {methods} methods on given features"
    return f"{title}, {CORES} cores\n\n{comparison(found, _references(projects))}"


def decoding(categories: Mapping[str, Path], projects: Sequence[Project], rounds: int) -> str:
    """CPU time of decoding in three preprocessings, by kind of image."""
    rows = []
    for kind, category in categories.items():
        runs = {
            project.name: lambda project=project, category=category: ask(
                "decoding.py", str(category), root=project.root
            )["cpu"]
            for project in projects
        }
        found = alternate(rounds, runs)
        this = found[projects[0].name]
        rows += [
            [
                f"{kind}, {name}",
                spread([1000 * seconds for seconds in found[name]], 1),
                spread([a / b for a, b in zip(found[name], this, strict=True)], 2),
            ]
            for name in found
        ]
    header = ["images, code", "CPU ms per image", f"times that of {projects[0].name}"]
    title = f"## Decoding for {len(PREPROCESSINGS)} preprocessings: {', '.join(PREPROCESSINGS)}"
    return f"{title}\n\n{table(rows, header)}"


def grid(
    scratch: Path,
    categories: Path,
    projects: Sequence[Project],
    rounds: int,
    device: str = "cpu",
    cores: str = "all",
) -> str:
    """Cold, and after each kind of change, in the same folder."""
    weights = make_weights(scratch, [*FIRST_BACKBONES, ADDED_BACKBONE])
    steps = {
        name: image_config(categories, weights, methods, device)
        for name, methods in _methods().items()
    }
    stages: dict[str, dict[str, float]] = {}

    def run(project: Project) -> dict[str, Usage]:
        usages = {}
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            for step, config in steps.items():
                usages[step] = project.run(Path(name), config, cores)
                if step == "cold":
                    stages[project.name] = stage_seconds(Path(name))
        return usages

    found = alternate(rounds, {p.name: lambda project=p: run(project) for p in projects})
    number, images = _counts(categories)
    backbones = ", ".join(FIRST_BACKBONES)
    title = f"## Grid: {number} categories of {images // number} images × {backbones} × 2 methods"
    useful = (
        "" if device != "cpu" else "\n\n" + _useful(scratch, categories, weights, found, projects)
    )
    return (
        f"{title}, device {device}\n\n{_steps(found, list(steps))}\n\n"
        "CPU seconds by stage, cold, as Snakemake sampled them in the last round (what lasts less "
        f"than a second may be missing):\n\n{_stages(stages)}{useful}"
    )


def cold_grid(scratch: Path, categories: Path, device: str) -> dict[str, Any]:
    """Config of the grid before its changes."""
    weights = make_weights(scratch, FIRST_BACKBONES)
    return image_config(categories, weights, _methods()["cold"], device)


def _methods() -> dict[str, dict[str, dict[str, Any]]]:
    """Methods by step; each step adds its change to those before it."""
    cold = {"fre": fre(FIRST_BACKBONES), "dfkde": dfkde(FIRST_BACKBONES)}
    changed = cold | {"fre": fre(FIRST_BACKBONES, variance=0.95)}
    added = changed | {"fre_90": fre(FIRST_BACKBONES, variance=0.90)}
    every = [*FIRST_BACKBONES, ADDED_BACKBONE]
    wider = {name: method | {"backbones": every} for name, method in added.items()}
    return {
        "cold": cold,
        "changed parameter": changed,
        "added method": added,
        f"added {ADDED_BACKBONE}": wider,
        "nothing to do": wider,
    }


def _steps(found: Mapping[str, Sequence[Mapping[str, Usage]]], steps: Sequence[str]) -> str:
    """Wall and CPU seconds of every step by project."""
    this = next(iter(found))
    rows = []
    for step in steps:
        usages = {name: [each[step] for each in rounds] for name, rounds in found.items()}
        rows += [
            [
                f"{step}, {name}",
                spread([usage.wall for usage in of], 1),
                spread([usage.cpu for usage in of], 1),
                times_faster(of, usages[this]),
            ]
            for name, of in usages.items()
        ]
    return table(rows, ["step, code", "wall s", "CPU s", f"times that of {this}"])


def _stages(stages: Mapping[str, Mapping[str, float]]) -> str:
    rules = sorted({rule for of in stages.values() for rule in of})
    rows = [
        [rule, *(f"{of[rule]:.1f}" if rule in of else "" for of in stages.values())]
        for rule in rules
    ]
    return table(rows, ["stage", *stages])


def _useful(
    scratch: Path,
    categories: Path,
    weights: Mapping[str, Path],
    found: Mapping[str, Sequence[Mapping[str, Usage]]],
    projects: Sequence[Project],
) -> str:
    """Share of a cold run's CPU time that decoding, passes and fits take by themselves."""
    number, images = _counts(categories)
    category = min(path for path in categories.iterdir() if path.is_dir())
    seconds = {"decode": 0.0, "forward": 0.0, "fit": 0.0}
    for backbone in FIRST_BACKBONES:
        for layer, resizes in (
            ("layer3", ["lanczos256", "bilinear256"]),
            ("avgpool", ["bilinear256"]),
        ):
            network = [str(category), str(weights[backbone]), "--backbone", backbone]
            floors = ask("floors.py", *network, "--layer", layer, "--resizes", *resizes)
            alone = work_alone(floors, images)
            if len(resizes) == 2:
                seconds["decode"] = alone["decode"]["cpu"]  # once for all
            seconds["forward"] += alone["forward"]["cpu"]
            seconds["fit"] += number * alone["fit"]["cpu"]
    whole = sum(seconds.values())
    cold = {
        project.name: statistics.median(each["cold"].cpu for each in found[project.name])
        for project in projects
    }
    shares = [f"{100 * whole / seconds:.0f} % of {name}'s" for name, seconds in cold.items()]
    parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    return f"The work alone, in CPU seconds: {parts}; that is {' and '.join(shares)} cold run."


def _cold(
    scratch: Path, config: Mapping[str, Any], projects: Sequence[Project], rounds: int
) -> dict[str, list[Usage]]:
    runs = {
        project.name: lambda project=project: project.cold(scratch, config, CORES)
        for project in projects
    }
    return alternate(rounds, runs)


def _references(projects: Sequence[Project]) -> list[str]:
    return [project.name for project in projects[1:]] or [projects[0].name]


def _counts(categories: Path) -> tuple[int, int]:
    """Number of categories in a folder, and of all their images."""
    folders = [path for path in categories.iterdir() if path.is_dir()]
    return len(folders), sum(1 for path in folders for _ in path.glob("t*/*/*.png"))
