"""A digest changes with the code a stage uses, and with no other."""

import hashlib
from pathlib import Path

import pytest

from defectbench import provenance
from defectbench.provenance import code_digest, file_sha256, library_versions


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scorers").mkdir()
    (tmp_path / "scorers" / "__init__.py").write_text("")
    (tmp_path / "scorers" / "kde.py").write_text("from defectbench.scorers.pca import fit\n")
    (tmp_path / "scorers" / "pca.py").write_text("from defectbench import errors\n")
    (tmp_path / "errors.py").write_text("")
    (tmp_path / "tables.py").write_text("")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    forget()
    return tmp_path


def forget() -> None:
    """A process sees the sources as they were when it first asked."""
    provenance._imports.cache_clear()
    code_digest.cache_clear()


@pytest.mark.parametrize(
    ("module", "changes"),
    [("scorers/kde.py", True), ("scorers/pca.py", True), ("errors.py", True), ("tables.py", False)],
)
def test_digest_follows_the_imports(package: Path, module: str, changes: bool):
    before = code_digest("scorers.kde")
    with open(package / module, "a") as source:
        source.write("# edited\n")
    forget()
    assert (code_digest("scorers.kde") != before) is changes


def test_file_hash_is_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_the_installed_ones():
    import numpy

    assert library_versions("numpy") == {"numpy": numpy.__version__}
