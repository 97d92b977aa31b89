"""`make check`: what a run with some settings would meet, without computing or downloading."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snakemake.utils import update_config
from tabulate import tabulate

from defectbench.config import further_images, plan
from defectbench.config.checks import (
    check_config,
    check_images,
    check_number_of_images,
    check_studies,
)
from defectbench.config.plan import Config
from defectbench.config.schema import check_schema
from defectbench.config.shapes import check_shapes, visibility
from defectbench.cpus import usable_cpus
from defectbench.errors import InputError, exit_status
from defectbench.images.index import IndexRow, assign_groups, group_notes, read_index
from defectbench.images.indexing import examine_category
from defectbench.images.layout import images_below
from defectbench.names import printable
from defectbench.provenance import FACTS
from defectbench.sources import dataset_source
from defectbench.sources.base import Source
from defectbench.sources.given_features import GivenFeatures, open_feature_file
from defectbench.special_files import is_special
from defectbench.startup import read_settings, settings_files
from defectbench.storage import read_json

ROOT = Path(__file__).parents[2]
BAD_INPUT_EXIT = 1
HEADER = ("category", "train", "test good", "test defective", "masks", "groups", "sizes", "modes")
MOST_LISTED = 3
SEARCH = "search"


def main(settings: Sequence[str]) -> int:
    """Print what was found; exit status 1 if something must be mended first."""
    problems: list[str] = []
    work = 0
    with collecting(problems):
        config = merged(*map(read_settings, settings))
        check_weights(config, problems)
        for dataset in plan.default_datasets(config):
            with collecting(problems):
                work += check_dataset(config, dataset, problems)
        if not problems:
            print_effort(settings, work)
    for problem in problems:
        print(f"error: {problem}")
    return BAD_INPUT_EXIT if problems else 0


@contextlib.contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Collect what is wrong in the block, and go on after it: all problems are printed at once."""
    try:
        yield
    except InputError as error:
        problems.append(str(error))


def merged(*settings: dict[str, Any]) -> dict[str, Any]:
    """The project's settings with the user's merged over them, checked as a run checks them."""
    config: dict[str, Any] = {}
    for each in [*map(read_settings, settings_files()), *settings]:
        update_config(config, each)
    check_schema(config)
    check_config(config)
    return config


def check_weights(config: Config, problems: list[str]) -> None:
    """Collect what is wrong with local files of weights, which a run finds out late."""
    for name, entry in config["backbones"].items():
        if entry.get("weights"):
            from defectbench.features.backbones import load_backbone  # takes seconds

            with collecting(problems):
                load_backbone(name, Path(entry["weights"]))


def check_dataset(config: Config, dataset: str, problems: list[str]) -> int:
    """Print a dataset's categories and collect problems; returns images times detectors."""
    source = dataset_source(dataset, config)
    methods = ", ".join(source.entry["methods"])
    if source.entry["methods"] == config.get("default_methods"):
        methods = f"{methods} (the default ones; `methods` names others)"
    print(f"{dataset}: {source.description}")
    print(f"  detectors: {methods}")
    found: dict[str, list[IndexRow]] = {}
    check_images(config, dataset)
    for category in plan.chosen_categories(config, dataset):
        if not source.checked_before:
            print(f"  {category}: not looked into before the run")
            continue
        with collecting(problems):
            found[category], notes = indexed(source, category)
            for note in notes:
                print(f"  {category}: {note}")
            train = [row for row in found[category] if row.split == "train"]
            if len({row.sha256 for row in train}) == 1 < len(train):
                raise InputError(f"{dataset}/{category}: all training images are one; add others")
            check_number_of_images(config, dataset, category, [row.group for row in train])
            check_studies(config, dataset, category, found[category])
            if plan.gives_images(config, dataset):
                check_shapes(config, dataset, category, found[category])
                for seen in visibility(config, dataset, found[category]):
                    print(f"  {category}: {seen}")
            if count := sum(row.split == "calibration" for row in found[category]):
                print(f"  {category}: {count} calibration images, which set the thresholds")
    if found:
        rows = [table_row(name, index) for name, index in found.items()]
        print(f"\n{tabulate(rows, HEADER, 'simple', disable_numparse=True)}\n")
    with collecting(problems):
        print_new_images(config, dataset)
    return sum(len(found.get(cell.category, ())) for cell in plan.cells(config, dataset))


def print_new_images(config: Config, dataset: str) -> None:
    """Print how many unlabelled images there are, and what will score them."""
    names = [
        f"{cell.method} {cell.backbone}" for cell in further_images.new_image_cells(config, dataset)
    ]
    detectors = ", ".join(dict.fromkeys(names))
    for category, folder in further_images.new_folders(config, dataset).items():
        files = images_below(folder)
        print(f"  {category}: {len(files)} new images in {folder}, scored by {detectors}")
        for file in files:
            if is_special(file):
                print(f"  {category}: {printable(str(file))} is no file: no score; remove it")


def indexed(source: Source, category: str) -> tuple[list[IndexRow], list[str]]:
    """A category's index and notes: from its feature file, or from links in a temporary folder."""
    if isinstance(source, GivenFeatures):
        with open_feature_file(source.files()[category]) as (_, index):
            return index, []
    counts = FACTS / f"{source.dataset}_counts.csv"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, category)
        calibration = further_images.calibration_folder(source.config, source.dataset, category)
        reviewed = further_images.reviewed_images(source.config, source.dataset, category)
        source.put(category, folder, calibration=calibration, reviewed=reviewed)
        bits, skip = source.entry.get("bits"), source.entry.get("unreadable") == "skip"
        counts_csv = counts if counts.is_file() else None
        used = plan.preprocessings_of(source.config, source.dataset)
        rows, notes = examine_category(folder, bits, skip, counts_csv, used)
    if source.groups:
        rows = assign_groups(rows, source.groups, category)
    if source.groups or any(row.group for row in rows):
        notes += group_notes(rows)
    return rows, notes


def table_row(name: str, index: Sequence[IndexRow]) -> list[str]:
    """Counts, masks, groups, sizes and modes of a category, as in `HEADER`."""
    counts = Counter((row.split, row.label) for row in index)
    defective = Counter(row.defect for row in index if row.label)
    types = f" ({most_frequent(defective)})" if defective else ""
    groups = {row.group for row in index if row.group}
    return [
        name,
        str(counts["train", 0]),
        str(counts["test", 0]),
        f"{defective.total()}{types}",
        str(sum(bool(row.mask) for row in index)),
        str(len(groups) or "none"),
        most_frequent(
            Counter(f"{row.width}×{row.height}" if row.width else "none" for row in index)
        ),
        most_frequent(Counter(row.mode or "none" for row in index)),
    ]


def most_frequent(counts: Counter[str]) -> str:
    """The most frequent names, with their counts unless there is one alone."""
    if len(counts) == 1:
        return next(iter(counts))
    most = [f"{count} {name}" for name, count in counts.most_common(MOST_LISTED)]
    more = [f"{len(counts) - MOST_LISTED} more"] if len(counts) > MOST_LISTED else []
    return ", ".join([*most, *more])


def print_effort(settings: Sequence[str], work: int) -> None:
    """Print the number of jobs, and time and disk by what earlier runs here took."""
    options = ["--configfile", *settings] if settings else []
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", *options]
    planned = subprocess.run(command, capture_output=True, text=True)
    said = planned.stdout + planned.stderr
    if planned.returncode:
        found = re.search(r"^error: (.*)", said, flags=re.MULTILINE)
        raise InputError(found[1] if found else said.strip().splitlines()[-1])
    jobs = re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)
    counts = ", ".join(f"{count} {rule}" for rule, count in jobs if rule not in ("all", "total"))
    print(f"jobs to run: {counts or 'none, all is there'}")
    done, seconds, size = earlier_work()
    where = "earlier runs here took"
    if not done:
        known = read_json(FACTS / "effort.json")
        done, seconds, size = known["images_times_detectors"], known["seconds"], known["bytes"]
        where = f"nothing has run here yet; {known['of']} took"
    if work:
        minutes, megabytes = work * seconds / done / 60, work * size / done / 1e6
        print(
            f"time: some {minutes:.1f} minutes if nothing is there yet, which {usable_cpus()} "
            "cores share in part"
        )
        print(f"disk: some {megabytes:.0f} MB")
        print(
            f"  estimated: {where} {seconds / done * 1000:.0f} ms and {size / done / 1000:.0f} kB "
            "for an image and a detector; other detectors take more or less"
        )
    else:
        print("time and disk: not known before the images are here")
    print(f"next: make run{''.join(f' CONFIG={shlex.quote(file)}' for file in settings)}")


def earlier_work() -> tuple[int, float, int]:
    """Images times detectors of finished categories, seconds of their jobs, bytes of results."""
    work, seconds, size = 0, 0.0, 0
    for index in Path().glob("results/*/*/index.tsv"):
        category = index.parent
        detectors = len(list(category.glob("*/*/metrics.json")))
        if not detectors:
            continue
        work += len(read_index(index)) * detectors
        for benchmark in Path("benchmarks", *category.parts[-2:]).rglob("*.jsonl"):
            if benchmark.stem == SEARCH:  # as long as its budget
                continue
            lines = benchmark.read_text(encoding="utf-8").splitlines()
            seconds += sum(float(json.loads(line).get("s") or 0) for line in lines)
        files = (
            file
            for file in category.rglob("*")
            if not file.name.startswith(".") and file.relative_to(category).parts[0] != SEARCH
        )
        size += sum(file.stat().st_size for file in files if file.is_file())
    return work, seconds, size


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
