"""`make check`: what a run with some settings would meet, without computing or downloading."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from defectbench.config import (
    category_folder,
    cells,
    check_config,
    check_schema,
    chosen_categories,
    default_datasets,
    new_folders,
    new_image_cells,
    split_names,
)
from defectbench.deployment.folder import images_below
from defectbench.errors import InputError
from defectbench.images.groups import OWN, assign_groups
from defectbench.images.index import IndexRow
from defectbench.images.indexing import category_notes, index_category
from defectbench.provenance import FACTS
from defectbench.reports.preview import earlier_rates, preview_table
from defectbench.sources.mvtec_folder import link_category, link_elpv
from defectbench.sources.own_folders import lay_out
from defectbench.startup import settings_files

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
BAD_INPUT_EXIT = 1


def main(settings: Sequence[str]) -> int:
    """Print what was found; exit status 1 if something must be mended first."""
    problems: list[str] = []
    work = 0
    try:
        config = merged_config(settings)
        for dataset in default_datasets(config):
            work += check_dataset(config, dataset, problems)
        if not problems:
            print_effort(settings, work)
    except InputError as error:
        problems.append(str(error))
    for problem in problems:
        print(f"error: {problem}")
    return BAD_INPUT_EXIT if problems else 0


def merged_config(settings: Sequence[str]) -> dict[str, Any]:
    """The project's settings with the user's merged over them, checked as a run checks them."""
    config: dict[str, Any] = {}
    for file in [*settings_files(), *settings]:
        try:
            loaded = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(f"{file}: cannot be read as settings ({error})") from error
        update_config(config, loaded or {})
    check_schema(config, SCHEMA)
    check_config(config)
    config["categories"] = split_names(config["categories"])
    return config


def check_dataset(config: Mapping[str, Any], dataset: str, problems: list[str]) -> int:
    """Print a dataset's categories and collect problems; returns images times detectors."""
    entry = config["datasets"][dataset]
    print(f"{dataset}: {', '.join(entry['methods'])} on images from {entry.get('path', 'pip')}")
    found: dict[str, list[IndexRow]] = {}
    try:
        detectors = cells(config, dataset)
        for category in chosen_categories(config, dataset):
            if entry["source"] in ("archive", "features"):
                print(f"  {category}: not looked into before the run")
                continue
            try:
                found[category], notes = indexed(config, dataset, category)
                print("".join(f"  {category}: {note}\n" for note in notes), end="")
            except InputError as error:
                problems.append(str(error))
    except InputError as error:
        problems.append(str(error))
        return 0
    if found:
        print(f"\n{preview_table(found)}\n")
    check_new_images(config, dataset, problems)
    return sum(len(found.get(cell.category, ())) for cell in detectors)


def check_new_images(config: Mapping[str, Any], dataset: str, problems: list[str]) -> None:
    """Print how many unlabelled images there are, and what will score them."""
    try:
        cells_of_new = new_image_cells(config, dataset)
    except InputError as error:
        problems.append(str(error))
        return
    detectors = ", ".join(dict.fromkeys(f"{cell.method} {cell.backbone}" for cell in cells_of_new))
    for category, folder in new_folders(config, dataset).items():
        count = len(images_below(folder))
        print(f"  {category}: {count} new images in {folder}, scored by {detectors}")


def indexed(
    config: Mapping[str, Any], dataset: str, category: str
) -> tuple[list[IndexRow], list[str]]:
    """A category's index and notes, from links in a temporary folder."""
    entry = config["datasets"][dataset]
    with tempfile.TemporaryDirectory() as temporary:
        linked = Path(temporary, category)
        if entry["source"] == "elpv":
            link_elpv(category, linked)
        elif "good" in entry:
            lay_out(category_folder(entry, category), entry, category, config["seed"], linked)
        else:
            link_category(category_folder(entry, category), linked)
        rows, notes = index_category(linked, bits=entry.get("bits"))
        counts = FACTS / f"{dataset}_counts.csv"
        notes += category_notes(linked, rows, counts if counts.is_file() else None)
        if (linked / OWN).is_file():
            rows = assign_groups(rows, {"csv": str(linked / OWN)}, category)
        elif "groups" in entry:
            rows = assign_groups(rows, entry["groups"], category)
    return rows, notes


def print_effort(settings: Sequence[str], work: int) -> None:
    """Print the number of jobs, and time and disk by what earlier runs here took."""
    options = ["--configfile", *settings] if settings else []
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", *options]
    planned = subprocess.run(command, capture_output=True, text=True)
    said = planned.stdout + planned.stderr
    if planned.returncode:
        found = re.search(r"^error: (.*)", said, flags=re.MULTILINE)
        raise InputError(found[1] if found else said)
    jobs = re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)
    counts = ", ".join(f"{count} {rule}" for rule, count in jobs if rule not in ("all", "total"))
    print(f"jobs: {counts or 'nothing left to do'}")
    rates = earlier_rates(Path())
    if rates is None or not work:
        print("time and disk: not known before a first run here, such as `make demo`")
        return
    minutes, megabytes = work * rates.seconds / 60, work * rates.size / 1e6
    print(
        f"from scratch: about {minutes:.1f} minutes of jobs, of which {os.cpu_count()} cores share "
        f"some, and {megabytes:.0f} MB; earlier runs here took {rates.seconds * 1000:.0f} ms and "
        f"{rates.size / 1000:.0f} kB for an image and a detector (other detectors: more or less)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
