"""The conda environments install what pip does, and rules name only what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rules import rules
from snakemake.rules import Rule

ROOT = Path(__file__).parents[2]


def pins() -> dict[str, str]:
    lines = (ROOT / "envs" / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda file: file.name)
def test_conda_and_pip_agree(file: Path):
    dependencies = yaml.safe_load(file.read_text())["dependencies"]
    (listed,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert listed
    for requirement in listed:
        name, version = requirement.split("==")
        assert pins()[name] == version


@pytest.mark.parametrize("rule", [r for r in rules() if r.script], ids=lambda rule: rule.name)
def test_every_rule_logs_and_states_what_it_needs(rule: Rule):
    assert list(rule.output)
    assert list(rule.log)
    assert rule.benchmark
    assert {"mem_mb", "runtime", "_cores"} <= rule.resources.keys()
    for path in (rule.conda_env, rule.script):
        assert (ROOT / "workflow" / "rules" / path).is_file()


def test_every_rule_but_the_default_target_runs_a_script():
    assert [rule.name for rule in rules() if not rule.script] == ["all", "best"]


def make_lint(folder: Path, environment: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder whose environment is a link to another one."""
    for name in ("Makefile", "envs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(environment)
    command = ["make", "--no-print-directory", *options, "lint"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_complete_environment_that_is_linked_is_used_as_it_is(tmp_path: Path):
    (tmp_path / "clone").mkdir()
    run = make_lint(tmp_path / "clone", Path(sys.prefix), "--dry-run")
    assert run.stdout.startswith("ruff check"), run.stdout + run.stderr


def test_nothing_is_installed_through_a_link(tmp_path: Path):
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
    before = sorted(empty.rglob("*"))
    (tmp_path / "clone").mkdir()
    run = make_lint(tmp_path / "clone", empty)
    assert run.returncode != 0
    assert ".venv is a link" in run.stdout
    assert f"It lacks snakemake=={pins()['snakemake']} " in run.stdout
    assert sorted(empty.rglob("*")) == before


def test_only_the_extraction_and_the_export_import_torch_at_the_start():
    scripts = ROOT / "workflow" / "scripts"
    modules = [*scripts.glob("*.py"), *scripts.glob("defectbench/**/*.py")]
    ours = "backbones|batch_norm|taps|tile_maps|device_choice|forward|extraction"
    heavy = rf"(?:torch|timm|defectbench\.features\.(?:{ours}))\b"
    pattern = re.compile(rf"^(?:import|from) {heavy}", re.M)
    found = {file.stem for file in modules if pattern.search(file.read_text())}
    extraction = {"activations", "backbones", "batch_norm", "device_choice", "extraction"}
    extraction |= {"forward", "onednn", "taps", "tile_maps"}
    export = {"detector", "export", "modules", "parts"}
    assert found == extraction | export | {"torchvision_models"}
