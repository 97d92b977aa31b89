"""PatchCore on generated maps: selection, a model of stride 16 beside extraction, lazy search.

Every measurement runs in a process of its own, on one thread if the environment says so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, Project, alternate, ask, other_project, processor, spread, table

WORK = "patchcore_work.py"
SHAPES = ((40, 64, 64), (112, 32, 32))
"""Layers blocks.2 and blocks.4 of an EfficientNet-Lite0 at 512×512: 152 channels."""

SHARE = 0.01
UNIONS = (5, 10)
"""Folds of which a union of selections is made beside the one selection."""

STRIDE, STRIDE_SHARE, FOLDS = 16, 0.02, 10
CHANNELS, SIDES, LAYER = 256, (256, 512), "layer3"
"""Of a ResNet-18's layer of stride 16: 16×16 positions of an image of 256×256."""

WAYS = (("all", True), ("folds", True), ("folds", False))
"""Selections of `Patchcore`, and whether maps are made as the workflow does."""

TEST = 80
THIS = "this project"


def work(do: str, root: Path = ROOT, **task: Any) -> dict[str, Any]:
    """What a step of `patchcore_work` finds."""
    return ask(WORK, json.dumps({"do": do} | task), root=root)


def check_other(project: Project) -> None:
    """End with one line where another checkout's PatchCore cannot be asked, before it takes time.

    It is fitted on a few small maps.
    """
    with tempfile.TemporaryDirectory() as folder:
        work("generate", folder=folder, train=4, test=0, shapes=[(3, 8, 8)])
        try:
            work("select", project.root, folder=folder, share=0.1, folds=0, memory="memory.npy")
        except subprocess.CalledProcessError:
            sys.exit(
                f"{project.root}: no checkout whose Patchcore(coreset=…, seed=…).fit([array]) "
                "leaves .memory_; name another one"
            )


def selection(folder: Path, images: int, other: Project | None, rounds: int) -> str:
    """Section on the selection, by this checkout and by another one in turn."""
    task = {"folder": str(folder), "share": SHARE}
    one = partial(work, "select", **task, folds=0)
    runs: dict[str, Callable[[], Any]] = {THIS: partial(one, memory="all.npy")}
    if other:
        runs[other.name] = partial(one, other.root, memory="other.npy")
    for folds in UNIONS:
        name = f"{THIS}, union of {folds} selections"
        runs[name] = partial(work, "select", **task, folds=folds, memory=f"folds{folds}.npy")
    found = alternate(rounds, runs)
    rows = [
        [
            name,
            spread([each["selection"] for each in own], 1),
            spread([each["fit"] for each in own], 1),
            f"{own[0]['rows']:,}",
            f"{max(each['peak'] for each in own):.2f}",
        ]
        for name, own in found.items()
    ]
    header = ["by", "selection, s", "fit, s", "patches kept", "peak memory, GB"]
    positions = max(height * width for _, height, width in SHAPES)
    return (
        f"## Selection\n\n{SHARE:.0%} of {images * positions:,} patches of "
        f"{sum(shape[0] for shape in SHAPES)} channels, {images} images of layers "
        f"{' and '.join(map(sized, SHAPES))}. The fit makes the patches, too.\n\n"
        + table(rows, header)
        + "\n"
        + (compared(other.name, folder, found[THIS], found[other.name]) if other else "")
    )


def compared(name: str, folder: Path, own: Sequence[Mapping], theirs: Sequence[Mapping]) -> str:
    """How two checkouts' memories and times differ: a paragraph."""
    ratios = {
        key: spread([b[key] / a[key] for a, b in zip(own, theirs, strict=True)], 1)
        for key in ("selection", "fit")
    }
    ours, others = (np.load(folder / file) for file in ("all.npy", "other.npy"))
    shared = Counter(row.tobytes() for row in ours) & Counter(row.tobytes() for row in others)
    same = sum(a.tobytes() == b.tobytes() for a, b in zip(ours, others, strict=False))
    return (
        f"\n{name} takes {ratios['selection']} times as long to select and {ratios['fit']} times "
        f"as long to fit. Of {len(ours):,} rows of {THIS} {shared.total():,} are kept by {name}, "
        f"too, {same:,} of them in the same place: of points that are equally far but for "
        "rounding, either may come first.\n"
    )


def sized(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def stride(folders: Mapping[int, Path], images: int) -> str:
    """Section on a model of stride 16 beside the extraction of as many images."""
    rows, of_images = [], []
    for side, folder in folders.items():
        extraction = work("extract", images=images + TEST, side=side, layer=LAYER)["seconds"]
        of_images.append(f"{extraction:.1f} s at {side}×{side}")
        for way, maps in WAYS:
            task = {"folder": str(folder), "share": STRIDE_SHARE, "folds": FOLDS}
            task |= {"selection": way, "maps": maps, "memory": f"{way}.npy"}
            found = work("judge", **task)
            steps = [found[step] for step in ("fit", "scores", "held_out")]
            figures = [f"{seconds:.1f}" for seconds in (*steps, sum(steps))]
            beside = f"{sum(steps) / extraction:.2f}"
            named = [f"{side}×{side}", way, "yes" if maps else "no", f"{found['rows']:,}"]
            rows.append([*named, *figures, beside, f"{found['peak']:.2f}"])
    header = ["images", "selection", "maps", "patches kept", "fit, s", "scores, s"]
    header += ["held-out, s", "together, s", "together / extraction", "peak memory, GB"]
    return (
        f"## A model of stride {STRIDE}\n\n{images} training images of {CHANNELS} channels, as a "
        f"ResNet-18's {LAYER} has them (of 256×256 pixels 16×16 positions), {STRIDE_SHARE:.0%} "
        f"kept, {TEST} test images, {FOLDS} folds held out. Extraction is that network's pass as "
        f"far as this layer over all {images + TEST} images, without decoding: "
        f"{', '.join(of_images)}.\n\n{table(rows, header)}\n"
    )


def search(memories: Mapping[str, tuple[Path, str]]) -> str:
    """Section on image scores by the lazy search and by a full one."""
    rows = []
    for name, (folder, memory) in memories.items():
        found = work("search", folder=str(folder), memory=memory)
        each = [f"{1000 * found[way] / found['images']:.1f}" for way in ("full", "lazy")]
        shares = [f"{share:.1%}" for share in found["shares"]]
        rows.append([name, *each, *shares, f"{found['apart']:.0e}"])
    header = ["memory", "full, ms per image", "lazy, ms per image", "distances, good images"]
    header += ["distances, defective images", "largest difference (relative)"]
    return (
        "## Image scores\n\nThe lazy search leaves out distances that cannot decide the score of "
        f"an image; their share is beside those of a full search, of {TEST} test images of which "
        f"half have a defect. Both make the patches, too.\n\n{table(rows, header)}\n"
    )


def measured(scratch: Path, arguments: argparse.Namespace) -> list[str]:
    """All sections."""
    images, other = arguments.images, arguments.against and other_project(arguments.against)
    if other:
        check_other(other)
    places = {side: (CHANNELS, side // STRIDE, side // STRIDE) for side in SIDES}
    shapes = {scratch / "fine": SHAPES, **{scratch / str(s): [p] for s, p in places.items()}}
    for folder, layers in shapes.items():
        folder.mkdir()
        work("generate", folder=str(folder), train=images, test=TEST, shapes=layers)
    fine = scratch / "fine"
    memories = {"as selected above": (fine, "all.npy")}
    memories |= {f"the union of {n} above": (fine, f"folds{n}.npy") for n in UNIONS}
    for side in SIDES:
        own = f"stride {STRIDE} at {side}×{side}"
        memories |= {f"{own}, {way}": (scratch / str(side), f"{way}.npy") for way, _ in WAYS}
    return [
        selection(fine, images, other, arguments.rounds),
        stride({side: scratch / str(side) for side in SIDES}, images),
        search(memories),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320, help="training images")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--rounds", type=int, default=1, help="of both checkouts in turn")
    parser.add_argument("--scratch", type=Path, help="folder for some GB of generated maps")
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "patchcore_generated.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        sections = measured(Path(name), arguments)
    text = (
        f"# PatchCore on generated maps\n\nMade by `make bench-patchcore` "
        f"(tests/bench/patchcore_generated.py) on {processor()}, NumPy {np.__version__}, one "
        "thread: seconds of processor time, and peak memory with the features and all libraries "
        "that are imported.\n\n"
    )
    arguments.output.write_text(text + "\n".join(sections))
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
