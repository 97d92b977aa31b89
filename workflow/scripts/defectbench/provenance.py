"""What made an artefact: digests of code and files, versions of libraries."""

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.storage import write_text

PACKAGE = Path(__file__).parent
SCRIPTS = PACKAGE.parent

NEUTRAL = frozenset(
    {
        "acquisition.downloads",  # what arrives is checked, however it was fetched
        "errors",
        "facts",
        "features.allocator",
        "features.gpus",
        "images.wording",
        "progress",
        "provenance",
        "terminal",
    }
)
"""Modules that cannot change a result: how work is reported, and where and how it is done."""

SPOKEN = frozenset({"InputError", "print", "warn"})
"""Calls whose arguments are words for the user."""

LOSSLESS = frozenset({"h5py"})
"""Libraries that give back what they were given, whatever their version."""

DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}


@cache
def stage_digest(script: str, *modules: str) -> dict[str, str]:
    """What decides the numbers of a stage beside its inputs and parameters.

    Snakemake sees neither a change in an imported module nor another version of a library; as a
    rule parameter this digest makes it rerun exactly the stages that it touches. The digest is of
    the syntax, so that comments, docstrings, layout and the texts of errors do not count.

    Parameters
    ----------
    script
        Stem of the rule's script.
    modules
        What the script imports by a name known at run time, below ``defectbench``, such as
        ``"scorers.pca_kde"``.

    Returns
    -------
    dict of str to str
        ``code``: the first 16 hexadecimal digits of a SHA-256 over the script and all modules of
        this package that it imports, directly or not, `NEUTRAL` ones apart; and the version of
        each library that those import.
    """
    sources = {script: SCRIPTS / f"{script}.py", **_closure(script, modules)}
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{_syntax(sources[name]).digest}\0".encode())
    libraries = {library for source in sources.values() for library in _libraries(source)}
    return {"code": digest.hexdigest()[:16], **library_versions(*(libraries - LOSSLESS))}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions by distribution, sorted; empty for one that is not installed here."""
    return {name: _version(name) for name in sorted(DISTRIBUTIONS.get(n, n) for n in names)}


@cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _closure(script: str, modules: Iterable[str]) -> dict[str, Path]:
    """Modules of this package that a script comes to import, by name, and their files."""
    found: dict[str, Path] = {}
    waiting = [*modules, *_own_imports(SCRIPTS / f"{script}.py")]
    while waiting:
        module = waiting.pop()
        if module not in found and module not in NEUTRAL:
            found[module] = _source(module)
            waiting += _own_imports(found[module])
            waiting += [module.rpartition(".")[0]] if "." in module else []  # runs its __init__
    return found


def _source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _own_imports(source: Path) -> list[str]:
    prefix = f"{PACKAGE.name}."
    own = [
        name.removeprefix(prefix) for name in _syntax(source).imported if name.startswith(prefix)
    ]
    return [name for name in own if _source(name).is_file()]


def _libraries(source: Path) -> set[str]:
    top = {name.split(".")[0] for name in _syntax(source).imported}
    return top - sys.stdlib_module_names - {PACKAGE.name}


class _Syntax(NamedTuple):
    """What a source file says: digest of its syntax, and the full names that it imports."""

    digest: str
    imported: Sequence[str]


@cache
def _syntax(source: Path) -> _Syntax:
    """Syntax of a file, parsed once: it is kept beside Python's own compiled form of the module."""
    text = source.read_bytes()
    content = hashlib.sha256(Path(__file__).read_bytes() + text).hexdigest()
    cache_name = f"{source.stem}.{sys.implementation.cache_tag}.syntax.json"
    kept = source.parent / "__pycache__" / cache_name
    with contextlib.suppress(OSError, ValueError, KeyError):
        known = json.loads(kept.read_bytes())
        if known["content"] == content:
            return _Syntax(known["digest"], known["imported"])
    tree = ast.parse(text)
    imported = sorted(_imported(tree))
    digest = hashlib.sha256(ast.dump(_Silent().visit(tree)).encode()).hexdigest()
    with contextlib.suppress(OSError):  # in a folder that is not ours to write, it is parsed anew
        write_text(kept, json.dumps({"content": content, "digest": digest, "imported": imported}))
    return _Syntax(digest, imported)


def _imported(tree: ast.Module) -> set[str]:
    """Full names in import statements, wherever they stand; of both module and member."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


class _Silent(ast.NodeTransformer):
    """Drops docstrings and the arguments of `SPOKEN` calls."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in SPOKEN:
            return ast.Call(node.func, [], [])
        return self.generic_visit(node)
