"""What README and docs/ say to type can be typed: every command is planned or looked up."""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from documents import PAGES, ROOT, commands, settings
from runs import DEADLINE
from snakemake.utils import update_config

import defectbench.scorers
from defectbench.config import checks
from defectbench.config.checks import check_config
from defectbench.config.schema import check_schema
from defectbench.scorers import scorer_names

TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}

# what can be neither planned nor looked up here
NOT_RUN = (
    "source .venv/bin/activate",
    "pip install -r envs/cluster.txt",
    "python3 -m venv runner",
    "runner/bin/pip install onnxruntime numpy pillow",
)
NOT_RUN_BEGINNING = "ORT_DISABLE_TELEMETRY=1 python3 -c 'import onnxruntime"

EXAMPLE_PAGE = "methods.md"
EXAMPLE = re.compile(r"`scorers/(\w+)\.py`:\n\n```python\n(.*?)```", re.DOTALL)

TYPED = {command: page for page, text in TEXTS.items() for command in commands(text)}
SETTINGS = [(page, block) for page, text in TEXTS.items() for block in settings(text)]


def of(program: str) -> list[str]:
    """Commands of a program that the pages show."""
    return [command for command in TYPED if shlex.split(command)[0] == program]


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    modules = os.pathsep.join(str(ROOT / part) for part in ("workflow/scripts", "tests/bench"))
    environment = os.environ | {"PATH": path, "PYTHONPATH": modules, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder as its user has it, with small stand-ins for their data."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("Makefile", "Snakefile", "config.yaml", "envs", "profiles", "tests", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "path" / "to").mkdir(parents=True)
    (folder / "path" / "to" / "defectbench").symlink_to(ROOT)
    (folder / "elsewhere").symlink_to(folder)
    images = [f"parts/plate/train/good/{number:02}.png" for number in range(40)]
    images += [f"castings/ok/{number:02}.png" for number in range(40)]
    images += ["castings/nok/0.png", "castings/masks/nok/0.png"]
    images += ["parts/plate/test/good/0.png", "parts/plate/test/scratch/0.png"]
    images += ["folder/bottle/train/good/0.png", "new/0.png", "today/0.png", "confirmed/0.png"]
    for name in [*images, "folder/resnet18_seed42.pth"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "folder_of_files").mkdir()
    np.savez(folder / "folder_of_files" / "plate.npz", X=np.zeros((2, 2)))
    merged: dict = {}
    for page, block in sorted(SETTINGS):
        if page != EXAMPLE_PAGE:  # its settings name a file that the reader is to write
            update_config(merged, yaml.safe_load(block))
    (folder / "my.yaml").write_text(yaml.safe_dump(merged))
    return folder


class Plan(NamedTuple):
    """Options of a Snakemake command, but for those that change no plan, and its targets."""

    options: tuple[str, ...]
    targets: frozenset[str]


def plan_of(command: str) -> Plan:
    """Of a command as it is typed.

    Files that it forces are targets too, because Snakemake forgives one that it does not know.
    """
    words = shlex.split(re.sub(r" --cores (all|\d+)\b| -n\b", "", command))[1:]
    if "--workflow-profile" in words:  # that of a cluster needs the cluster's plugin
        place = words.index("--workflow-profile")
        assert (ROOT / words[place + 1] / "config.yaml").is_file(), words[place + 1]
        del words[place : place + 2]
    if "--" in words:
        options, targets = words[: words.index("--")], words[words.index("--") + 1 :]
    else:
        options, targets = (words, []) if words[:1] and words[0].startswith("-") else ([], words)
    forced = [word for word in options if word.startswith("results/")]
    return Plan(tuple(options), frozenset(targets or ["all"]) | frozenset(forced))


def dry_run(folder: Path, options: tuple[str, ...], targets: set[str]) -> str:
    """What Snakemake complains of; empty if it can be planned."""
    end = run(folder, ["snakemake", "--dry-run", *options, "--", *sorted(targets)])
    return end.stdout + end.stderr if end.returncode else ""


@pytest.fixture(scope="module")
def complaints(desk: Path) -> dict[tuple[str, ...], str]:
    """By options, of all targets together that are shown with them; two plans at a time."""
    wanted: dict[tuple[str, ...], set[str]] = {}
    for plan in map(plan_of, of("snakemake")):
        wanted.setdefault(plan.options, set()).update(plan.targets)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda options: dry_run(desk, options, wanted[options]), wanted)
        return dict(zip(wanted, found, strict=True))


def make_faults(folder: Path, command: str) -> list[str]:
    """What is wrong with a make command: target, variables, options of the script it starts."""
    words = shlex.split(command)[1:]
    text = (ROOT / "Makefile").read_text()
    names = [word.split("=")[0] for word in words if "=" in word]
    faults = [f"no variable {name}" for name in names if not re.search(rf"\b{name}\b", text)]
    made = run(folder, ["make", "--dry-run", *words])
    if made.returncode:
        return [*faults, made.stderr]
    recipe = made.stdout.replace("\\\n", " ").splitlines()
    scripts = [line.strip() for line in recipe if re.match(r"\s*python \S+\.py\b", line)]
    return faults + [fault for line in scripts for fault in script_faults(line)]


@cache
def help_of(script: str) -> str:
    shown = run(ROOT, [sys.executable, script, "--help"])
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def script_faults(command: str) -> list[str]:
    """What is wrong with ``python script.py …``: the script, or options that its help lacks."""
    script, *rest = shlex.split(command)[1:]
    if not (ROOT / script).is_file():
        return [f"no script {script}"]
    options = [word for word in rest if word.startswith("--")]
    return [f"{script} has no {o}" for o in options if f"{o} " not in help_of(script) + " "]


def test_every_command_is_of_a_program_that_is_looked_at():
    for command, page in TYPED.items():
        program = shlex.split(command)[0]
        known = program in ("snakemake", "make", "runner/bin/python") or command in NOT_RUN
        assert known or command.startswith(NOT_RUN_BEGINNING), f"{page}: {command}"


def test_the_list_of_what_is_not_run_is_not_stale():
    assert set(NOT_RUN) <= set(TYPED)
    assert any(command.startswith(NOT_RUN_BEGINNING) for command in TYPED)


@pytest.mark.parametrize("command", of("snakemake"))
def test_a_snakemake_command_can_be_planned(complaints: dict, command: str):
    assert complaints[plan_of(command).options] == ""


@pytest.mark.parametrize("command", of("make"))
def test_a_make_command_has_its_target_variables_and_options(desk: Path, command: str):
    assert make_faults(desk, command) == []


@pytest.mark.parametrize("command", of("runner/bin/python"))
def test_a_script_knows_the_options_it_is_given(command: str):
    assert script_faults(command) == []


def test_the_service_knows_the_options_of_its_script():
    text = (ROOT / "examples" / "defectbench-watch.service").read_text()
    started = re.search(r"^ExecStart=\S+ /opt/defectbench/((?:.*\\\n)*.*)", text, re.MULTILINE)[1]
    suggested = re.findall(r"^#   (--.*)", text, re.MULTILINE)
    assert len(suggested) == 1
    command = " ".join(["python", started.replace("\\\n", " "), *suggested])
    assert script_faults(command) == []


@pytest.mark.parametrize(("page", "block"), SETTINGS)
def test_settings_that_are_shown_are_valid(
    desk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str, block: str
):
    monkeypatch.chdir(desk)
    if page == EXAMPLE_PAGE:
        name, code = EXAMPLE.search(TEXTS[page]).groups()
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        places = [*defectbench.scorers.__path__, str(tmp_path)]
        monkeypatch.setattr(defectbench.scorers, "__path__", places)
        monkeypatch.setattr(checks, "scorer_names", lambda: [*scorer_names(), name])
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load(block))
    check_schema(config)
    check_config(config)


@pytest.mark.parametrize(
    "mistake",
    [
        "snakemake reports/elpv_tabel.md",
        "snakemake --forcerun results/elpv/monocrystalline/indx.tsv -- reports/elpv_table.md",
    ],
)
def test_a_mistyped_snakemake_command_would_be_found(desk: Path, mistake: str):
    assert dry_run(desk, *plan_of(mistake)) != ""


@pytest.mark.parametrize(
    "mistake",
    ["make dmeo", "make run CONFG=my.yaml", 'make bench BENCH="--backbnes efficientnet_b5"'],
)
def test_a_mistyped_make_command_would_be_found(desk: Path, mistake: str):
    assert make_faults(desk, mistake)


def test_a_mistyped_option_of_a_script_would_be_found():
    assert script_faults("python workflow/scripts/score_folder.py a new --ouput scores")
    assert script_faults("python workflow/scripts/score_foldr.py a new")
