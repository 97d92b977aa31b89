"""Measure this workflow: against a published script's way of working, and another checkout.

All that is compared runs in turn, round by round, on the same images and seeded random weights;
figures are medians with their range, ratios are taken round by round.
"""

import argparse
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from gpu import NO_GPU, busy_share, gpu, has_gpu
from grid import FIRST_BACKBONES, cold_grid, decoding, grid, light_stages, small_categories
from inputs import LAYERS, make_category
from measuring import ROOT, Project, other_project, processor
from one_category import one_category

PARTS = ("one-category", "small-categories", "light", "decoding", "grid", "gpu")


class Sizes(NamedTuple):
    """Of what is generated: images (train, good, defective) and their side, and numbers."""

    one: tuple[int, int, int, int]
    small: tuple[int, int, int, int]
    small_categories: int
    grid_categories: int
    decoded: tuple[int, int, int, int]
    light: tuple[int, int]


SIZES = Sizes((209, 20, 63, 900), (24, 6, 6, 400), 4, 3, (64, 8, 8, 1024), (5, 4))
"""As many and as large images as MVTec AD's bottle, and small categories."""
TINY = Sizes((24, 3, 3, 300), (24, 2, 2, 300), 2, 2, (4, 2, 2, 300), (2, 2))
"""To try the benchmark itself."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:4])
    parser.add_argument("--category", type=Path, help="in the MVTec layout; default: generated")
    parser.add_argument(
        "--backbones", nargs="+", choices=["resnet18", *LAYERS], default=["resnet18"]
    )
    parser.add_argument("--bf16", action="store_true", help="run one category in bfloat16, too")
    parser.add_argument("--against", type=Path, help="another checkout, run in the same rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="a few small images: try the benchmark")
    parser.add_argument("--output", type=Path, default=Path("reports/benchmark.md"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sections = [_introduction(arguments), *_sections(arguments, Path(name))]
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text("\n\n".join(sections) + "\n")
    print(arguments.output.read_text())


def _introduction(arguments: argparse.Namespace) -> str:
    return (
        f"# Benchmark\n\n`make bench` on {len(os.sched_getaffinity(0))} cores of {processor()}, "
        f"torch {version('torch')}. Medians of {arguments.rounds} alternating rounds with their "
        "range; ratios round by round. The published script fits and scores; the workflow also "
        "cross-validates a threshold, bootstraps intervals and stores every stage. Peak MB is the "
        "largest process. *Alone* is measured without this project's code: plain loops of "
        "Pillow or imagecodecs, torchvision, and NumPy, six fits each (one and one per fold)."
    )


def _sections(arguments: argparse.Namespace, scratch: Path) -> list[str]:
    sizes, rounds = TINY if arguments.tiny else SIZES, arguments.rounds
    projects = [Project("this project", ROOT)]
    if arguments.against:
        projects.append(other_project(arguments.against))
    sections = []
    if {"one-category", "gpu"} & set(arguments.parts):
        given = arguments.category and arguments.category.resolve()
        ring = scratch / "one" / "ring"
        # alone in its folder, of which every category would be run
        category = (
            _only(given, scratch / "one") if given else make_category(ring, *sizes.one, "RGB")
        )
    if "one-category" in arguments.parts:
        sections += [
            one_category(scratch, category, backbone, projects, rounds, arguments.bf16)
            for backbone in arguments.backbones
        ]
    if "small-categories" in arguments.parts:
        folder = _categories(scratch / "small", sizes.small_categories, sizes.small)
        sections.append(small_categories(scratch, folder, projects, rounds))
    if "light" in arguments.parts:
        sections.append(light_stages(scratch, *sizes.light, projects, rounds))
    if "decoding" in arguments.parts:
        kinds = {"RGB": "RGB", "grey": "L"}
        made = {
            kind: make_category(scratch / "decoded" / kind, *sizes.decoded, mode)
            for kind, mode in kinds.items()
        }
        sections.append(decoding(made, projects, rounds))
    if {"grid", "gpu"} & set(arguments.parts):
        folder = _categories(scratch / "grid", sizes.grid_categories, sizes.small)
    if "grid" in arguments.parts:
        sections.append(grid(scratch, folder, projects, rounds))
    if "gpu" in arguments.parts:
        sections.append(_on_gpu(scratch, category, folder, projects, rounds))
    return sections


def _on_gpu(
    scratch: Path, category: Path, categories: Path, projects: list[Project], rounds: int
) -> str:
    """Every backbone by itself, and the grid."""
    if not has_gpu():
        return NO_GPU
    alone = gpu(scratch, category, [*FIRST_BACKBONES, *LAYERS], projects[0], rounds)
    steps = grid(scratch, categories, projects, rounds, device="cuda")
    cold = cold_grid(scratch, categories, "cuda")
    share, seconds = busy_share(lambda: projects[0].cold(scratch, cold, "all"))
    return f"{alone}\n\n{steps}\n\nOne cold run: {seconds:.0f} s, GPU busy {share:.0f} % of them."


def _only(category: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / category.name).symlink_to(category)
    return folder / category.name


def _categories(folder: Path, number: int, size: tuple[int, int, int, int]) -> Path:
    for each in range(number):
        make_category(folder / f"ring{each}", *size, "RGB")
    return folder


if __name__ == "__main__":
    main()
