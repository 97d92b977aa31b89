"""A stage's digest covers what decides its numbers: the bytes of all code that it runs."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rules import rules, script_of
from snakemake.rules import Rule

from defectbench import provenance
from defectbench.provenance import _closure, file_sha256, library_versions, stage_digest
from defectbench.scorers import scorer_names
from defectbench.search.space import searched_scorers

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
WITH_SCRIPT = [rule for rule in rules() if rule.script]
STAGES = sorted({script_of(rule) for rule in WITH_SCRIPT})
MODULES = {
    "source": ["sources.download"],
    "scores": ["scorers.pca_fre"],
    "study": ["scorers.pca_fre"],
    "study_across": ["scorers.pca_fre"],
    "detector": ["deployment.graphs.modules"],
    "speed": ["scorers.pca_fre", "scorers.pca_kde"],
    "search": [f"scorers.{name}" for name in searched_scorers()],
}
"""What scripts import by name: the dataset's source, the method's scorer or its graph."""

OF_NO_NUMBER = frozenset({"h5py", "jsonschema", "markupsafe", "psutil", "snakemake", "yaml"})
"""Libraries that give back what they were given, or check it, whatever their version."""

# runs the import statements of scripts, wherever they stand, and tells what each has loaded
IMPORTS_OF = """
import ast, json, sys

def ours():
    return sorted(name for name in sys.modules if name.startswith("defectbench."))

found = {}
for script in sys.argv[1:]:
    for name in ours():
        del sys.modules[name]
    for node in ast.walk(ast.parse(open(script).read())):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(compile(ast.Module([node], []), script, "exec"), {})
    found[script] = ours()
print(json.dumps(found))
"""


@pytest.mark.parametrize("rule", WITH_SCRIPT, ids=lambda rule: rule.name)
def test_every_rule_has_the_digest_of_its_own_script(rule: Rule):
    script, code = script_of(rule), rule.params.code
    if callable(code):
        code = code(SimpleNamespace(method="fre", backbone="resnet18", dataset="mvtec"))
    modules = MODULES.get(script, [])
    assert code["code"] == stage_digest(script, *modules)["code"]


def test_the_digest_covers_all_that_the_script_loads():
    scripts = [str(SCRIPTS / f"{stage}.py") for stage in STAGES]
    command = [sys.executable, "-c", IMPORTS_OF, *scripts]
    environment = {"PYTHONPATH": str(SCRIPTS), "PATH": ""}
    output = subprocess.check_output(command, env=environment, text=True)
    for script, modules in json.loads(output).items():
        loaded = {name.removeprefix("defectbench.") for name in modules}
        assert loaded, script
        assert loaded <= set(_closure(Path(script).stem, ())), script


def test_a_scorer_known_at_run_time_is_covered_and_no_other():
    for name in scorer_names():
        covered = set(_closure("scores", [f"scorers.{name}"]))
        others = {f"scorers.{other}" for other in scorer_names()} - {f"scorers.{name}"}
        assert f"scorers.{name}" in covered
        assert not covered & others


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the scripts, free to be edited."""
    folder = Path(shutil.copytree(SCRIPTS, tmp_path / "scripts"))
    monkeypatch.setattr(provenance, "SCRIPTS", folder)
    monkeypatch.setattr(provenance, "PACKAGE", folder / "defectbench")
    forget()
    yield folder
    forget()


def forget() -> None:
    """A process sees the sources as they were when it first asked."""
    for function in (stage_digest, provenance._text):
        function.cache_clear()


def codes() -> dict[str, str]:
    forget()
    digests = {stage: stage_digest(stage)["code"] for stage in STAGES}
    return digests | {
        "elpv": stage_digest("source", "sources.elpv")["code"],
        "pca_fre": stage_digest("scores", "scorers.pca_fre")["code"],
    }


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("sources/elpv.py", {"elpv"}),
        ("scorers/pca_fre.py", {"pca_fre"}),
        ("scorers/pca_kde.py", set()),
        ("reports/published.py", {"table"}),
        ("errors.py", {*STAGES, "elpv", "pca_fre"}),
    ],
)
def test_any_edit_changes_the_stages_that_import_the_file_and_no_other(
    copied: Path, module: str, changed: set[str]
):
    before = codes()
    with open(copied / "defectbench" / module, "a") as file:
        file.write("# a comment\n")
    after = codes()
    assert {name for name in after if after[name] != before[name]} == changed


def other_pythons() -> list[str]:
    """Other versions of Python on this machine that the project supports."""
    installed = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    installed += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")]
    tell = "import sys; print(sys.version_info.minor)"
    minors = {
        python: subprocess.run([python, "-c", tell], capture_output=True, text=True).stdout.strip()
        for python in filter(None, installed)
    }
    own = sys.version_info.minor
    return [python for python, minor in minors.items() if minor and own != int(minor) >= 11]


def test_every_version_of_python_gives_the_same_digest():
    if not other_pythons():
        pytest.skip("there is no other version of Python here")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from defectbench.provenance import stage_digest\n"
        "print({stage: stage_digest(stage)['code'] for stage in sys.argv[2:]})"
    )
    expected = str({stage: stage_digest(stage)["code"] for stage in STAGES})
    for python in other_pythons():
        command = [python, "-c", code, str(SCRIPTS), *STAGES]
        assert subprocess.check_output(command, text=True).strip() == expected, python


def test_every_library_counts_with_its_version_or_computes_nothing():
    imported = {
        name
        for source in SCRIPTS.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _top_names(node)
    }
    foreign = imported - sys.stdlib_module_names - {"defectbench"}
    counted = {name for name in foreign if provenance.LIBRARIES.match(f"import {name}")}
    assert foreign - counted == OF_NO_NUMBER


def _top_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    modules = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    return {module.split(".")[0] for module in modules if module}


def test_versions_of_the_libraries_that_compute_are_part_of_it():
    digest = stage_digest("scores", "scorers.pca_kde")
    assert digest["numpy"] == library_versions("numpy")["numpy"]
    assert "torch" not in digest
    assert {"torch", "torchvision", "timm"} <= set(stage_digest("features"))


def test_file_hash_is_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_a_process_is_not_charged_with_the_memory_of_the_one_that_started_it():
    held = b"1" * 300_000_000  # zeros would take no memory until they are read
    code = "from defectbench.provenance import peak_memory_mb; print(peak_memory_mb())"
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, env={"PYTHONPATH": str(SCRIPTS)}, text=True)
    assert 1 < float(output) < 200 < len(held) / 1e6 < provenance.peak_memory_mb()


def test_versions_are_the_installed_ones():
    import numpy

    assert library_versions("numpy", "no-such-package") == {
        "no-such-package": "",
        "numpy": numpy.__version__,
    }


def test_modules_import_in_the_direction_of_the_data():
    order = ["images", "sources", "features", "scorers", "evaluation"]
    order += ["search", "reports", "studies", "deployment", "config"]
    beside = {path.stem for path in provenance.PACKAGE.glob("*.py")}
    for source in provenance.PACKAGE.glob("*/*.py"):
        stage = order.index(source.parent.name)
        for name in provenance._own_imports(source):
            assert name.split(".")[0] in {*order[: stage + 1], *beside}, (source, name)


def test_modules_and_classes_can_be_read_in_one_go():
    for source in provenance.PACKAGE.rglob("*.py"):
        text = source.read_text()
        assert text.count("\n") <= 300, source
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno - node.lineno < 150, (source, node.name)
