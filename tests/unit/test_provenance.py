"""A stage's digest covers exactly what decides its numbers, in both directions."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from defectbench import provenance
from defectbench.provenance import NEUTRAL, _closure, file_sha256, library_versions, stage_digest
from defectbench.scorers import scorer_names

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))

# runs the import statements of a script, wherever they stand, and tells what was loaded
IMPORTS_OF = """
import ast, json, sys
tree = ast.parse(open(sys.argv[1]).read())
for node in ast.walk(tree):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        exec(compile(ast.Module([node], []), sys.argv[1], "exec"), {})
print(json.dumps(sorted(name for name in sys.modules if name.startswith("defectbench."))))
"""


def rules() -> list[tuple[str, str, str]]:
    """Name of each rule, its script and its parameter `code`."""
    found = []
    for text in re.split(r"^rule ", RULES, flags=re.M)[1:]:
        script = re.search(r'"\.\./scripts/(\w+)\.py"', text)
        code = re.search(r"^        code=(.*),$", text, flags=re.M)
        found.append((text.split(":")[0], script[1] if script else "", code[1] if code else ""))
    return found


@pytest.mark.parametrize(("rule", "script", "code"), rules(), ids=[rule for rule, *_ in rules()])
def test_every_rule_has_the_digest_of_its_own_script(rule: str, script: str, code: str):
    expected = {f'stage_digest("{script}")', f'scorer_digest("{script}")'}
    if script == "fetch_weights":
        expected = {"weights_digest"}
    if script == "export_detector":
        expected = {"detector_digest"}
    assert code in expected


@pytest.mark.parametrize("script", sorted({script for _, script, _ in rules()}))
def test_the_digest_covers_what_the_script_loads_and_nothing_that_it_cannot_reach(script: str):
    command = [sys.executable, "-c", IMPORTS_OF, str(SCRIPTS / f"{script}.py")]
    environment = {"PYTHONPATH": str(SCRIPTS), "PATH": ""}
    output = subprocess.check_output(command, env=environment, text=True)
    loaded = {name.removeprefix("defectbench.") for name in json.loads(output)}
    packages = {name for name in loaded if (provenance.PACKAGE / name.replace(".", "/")).is_dir()}
    covered = set(_closure(script, ()))
    assert loaded - packages - NEUTRAL <= covered
    # what is covered and was not loaded is imported by what is covered, inside a function
    sources = [SCRIPTS / f"{script}.py", *_closure(script, ()).values()]
    named = {name for source in sources for name in provenance._own_imports(source)}
    assert covered - loaded - packages <= named


def test_a_scorer_known_at_run_time_is_covered_and_no_other():
    for name in scorer_names():
        covered = set(_closure("score_images", [f"scorers.{name}"]))
        others = {f"scorers.{other}" for other in scorer_names()} - {f"scorers.{name}"}
        assert f"scorers.{name}" in covered
        assert not covered & others


def test_neutral_modules_exist_and_decide_no_number():
    for name in NEUTRAL:
        source = provenance._source(name)
        assert source.is_file(), name
        libraries = provenance._libraries(source)
        assert not libraries & {"numpy", "scipy", "sklearn", "torch", "PIL", "pandas"}, name


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
    for function in (stage_digest, provenance._syntax):
        function.cache_clear()


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def codes(copied: Path) -> dict[str, str]:
    forget()
    stages = {script for _, script, _ in rules() if script}
    digests = {stage: stage_digest(stage)["code"] for stage in stages}
    return digests | {"pca_fre": stage_digest("score_images", "scorers.pca_fre")["code"]}


@pytest.mark.parametrize(
    ("module", "old", "new", "changed"),
    [
        (
            "images/layout.py",
            '".png"',
            '".gif"',
            {"fetch_category", "index_images", "score_new_images"},
        ),
        ("acquisition/elpv.py", "USUAL_CELLS = 60", "USUAL_CELLS = 59", {"fetch_category"}),
        ("scorers/pca.py", "BLOCK = 4096", "BLOCK = 1024", {"pca_fre"}),
        ("scorers/pca_kde.py", "bandwidth**2", "bandwidth", set()),
        ("reports/usage.py", '"CPUs used"', '"CPUs"', {"write_usage"}),
    ],
)
def test_an_edit_changes_the_stages_that_run_it_and_no_other(
    copied: Path, module: str, old: str, new: str, changed: set[str]
):
    before = codes(copied)
    replaced(copied / "defectbench" / module, old, new)
    after = codes(copied)
    assert {name for name in after if after[name] != before[name]} == changed


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("progress.py", "PROGRESS_SECONDS = 5", "PROGRESS_SECONDS = 9"),
        ("errors.py", "no space left on the disk", "the disk is full"),
        ("scorers/pca.py", "    mean = X.mean(", "    # a comment\n    mean = X.mean("),
        ("scorers/pca.py", "Leading principal components", "First principal components"),
        ("scorers/pca.py", "there is no variance to analyse", "nothing varies"),
        ("images/indexing.py", "def index_category(", "\n\ndef index_category("),
    ],
)
def test_comments_docstrings_layout_progress_and_errors_change_no_digest(
    copied: Path, module: str, old: str, new: str
):
    before = codes(copied)
    replaced(copied / "defectbench" / module, old, new)
    assert codes(copied) == before


def test_versions_of_the_libraries_that_compute_are_part_of_it():
    digest = stage_digest("score_images", "scorers.pca_kde")
    assert digest["numpy"] == library_versions("numpy")["numpy"]
    assert "torch" not in digest
    assert "h5py" not in digest  # gives back what it was given
    assert {"torch", "torchvision", "timm"} <= set(stage_digest("extract_features"))


def test_file_hash_is_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_the_installed_ones():
    import numpy

    assert library_versions("numpy", "no-such-package") == {
        "numpy": numpy.__version__,
        "no-such-package": "",
    }


def test_modules_import_in_the_direction_of_the_data():
    order = ["acquisition", "images", "features", "scorers", "evaluation", "reports", "deployment"]
    for source in provenance.PACKAGE.glob("*/*.py"):
        stage = order.index(source.parent.name)
        for name in provenance._own_imports(source):
            assert name.split(".")[0] in [*order[: stage + 1], *_beside()], (source, name)


def test_no_class_is_longer_than_150_lines():
    for source in provenance.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno - node.lineno < 150, (source, node.name)


def _beside() -> set[str]:
    return {path.stem for path in provenance.PACKAGE.glob("*.py")}


def test_syntax_is_parsed_once_and_a_damaged_or_foreign_memory_is_not_believed(
    copied: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = codes(copied)
    with monkeypatch.context() as patched:
        patched.setattr(provenance.ast, "parse", None)
        assert codes(copied) == expected
    first, second = sorted((copied / "defectbench" / "__pycache__").glob("*.syntax.json"))[:2]
    first.write_text("{")
    second.write_text('{"content": "of another text", "digest": "", "imported": []}')
    assert codes(copied) == expected
