"""One category from PNG to table, against the published FRE script's way of working."""

import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inputs import LAYER_OF_RESNETS, LAYERS, fre, image_config, make_weights
from measuring import Project, Usage, alternate, ask, comparison, measure, stage_seconds, table

SCRIPT = "published script"
IDLE = "nothing to do"


def one_category(
    scratch: Path,
    category: Path,
    backbone: str,
    projects: Sequence[Project],
    rounds: int,
    bf16: bool,
) -> str:
    """Times of script and projects, and what the work alone would take.

    Parameters
    ----------
    scratch
        Receives the files that are made.
    category
        In the MVTec layout, alone in its folder.
    backbone
        Runs FRE.
    projects
        This one first.
    rounds
        How often each runs.
    bf16
        Whether this project runs in bfloat16, too.
    """
    weights = make_weights(scratch, [backbone])
    layer, side = LAYERS.get(backbone, LAYER_OF_RESNETS)
    network = [str(category), str(weights[backbone]), "--backbone", backbone, "--layer", layer]
    script = [sys.executable, str(Path(__file__).with_name("published_script.py")), *network]
    kept = tempfile.TemporaryDirectory(dir=scratch)
    this, *others = projects

    def config(precision: str) -> dict[str, Any]:
        methods = {"fre": fre([backbone])}
        return image_config(category.parent, weights, methods, precision=precision)

    def keep() -> Usage:
        kept.cleanup()
        Path(kept.name).mkdir()
        return this.run(Path(kept.name), config("fp32"), "all")

    runs = {
        SCRIPT: lambda: measure([*script, "--side", str(side)], scratch),
        this.name: keep,
        **{
            project.name: lambda project=project: project.cold(scratch, config("fp32"), "all")
            for project in others
        },
        IDLE: lambda: this.run(Path(kept.name), config("fp32"), "all"),
        "floors": lambda: ask("floors.py", *network, "--resizes", f"lanczos{side}"),
    }
    if bf16:
        runs[f"{this.name}, bf16"] = lambda: this.cold(scratch, config("bf16"), "all")
    found = alternate(rounds, runs)
    floors = found.pop("floors")
    stages = stage_seconds(Path(kept.name))
    kept.cleanup()
    images = sum(1 for _ in category.glob("t*/*/*.png"))
    references = [SCRIPT, *(project.name for project in others)]
    return "\n\n".join(
        [
            f"## One category of {images} images, {backbone}, cold",
            comparison(found, references),
            _where_time_goes(found[this.name], found[IDLE], floors, images),
            "CPU seconds by stage, as Snakemake sampled them: "
            + ", ".join(f"{rule} {seconds:.1f}" for rule, seconds in sorted(stages.items()))
            + ".",
        ]
    )


def work_alone(floors: Mapping[str, Any], images: int) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds of decoding, pass and fits, with the decoder that takes less of each."""
    decoders = floors["decode"].values()
    return {
        "decode": {
            clock: images * min(decoder[clock] for decoder in decoders) for clock in ("wall", "cpu")
        },
        "forward": {clock: images * seconds for clock, seconds in floors["forward"].items()},
        "fit": floors["fit"],
    }


def _where_time_goes(
    measured: Sequence[Usage], idle: Sequence[Usage], floors: Sequence[Mapping], images: int
) -> str:
    """Table of what is spent without choice, beside what was spent."""

    def median(name: str, clock: str) -> float:
        return statistics.median(work_alone(each, images)[name][clock] for each in floors)

    def row(name: str, wall: float, cpu: float) -> list[str]:
        return [name, f"{wall:.2f}", f"{cpu:.2f}"]

    wall, cpu = (
        {name: median(name, clock) for name in ("decode", "forward", "fit")}
        for clock in ("wall", "cpu")
    )
    of_idle = [statistics.median(column) for column in zip(*idle, strict=True)][:2]
    startup = [statistics.median(f["startup"][clock] for f in floors) for clock in ("wall", "cpu")]
    whole = [statistics.median(column) for column in zip(*measured, strict=True)][:2]
    work = sum(wall.values()), sum(cpu.values())
    rows = [
        *(row(f"{name} alone", wall[name], cpu[name]) for name in wall),
        row("useful work", *work),
        row("Snakemake with nothing to do", *of_idle),
        row("import PyTorch, load the network", *startup),
        row("all of these", *(sum(each) for each in zip(work, of_idle, startup, strict=True))),
        row("measured", *whole),
    ]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{table(rows, ['fp32', 'wall s', 'CPU s'])}\n\n"
        f"Useful work is {100 * work[1] / whole[1]:.0f} % of the CPU time and "
        f"{100 * work[0] / whole[0]:.0f} % of the wall time, each part by itself on {cores} cores."
    )
