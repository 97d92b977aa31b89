"""What made an artefact: digests of code and files, versions of libraries."""

import ast
import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


@cache
def code_digest(*modules: str) -> str:
    """Digest of modules of this package and of all that they import from it.

    Snakemake does not see a change in an imported module; as a rule parameter this digest makes
    it rerun exactly the stages that use the module.

    Parameters
    ----------
    modules
        Names below ``defectbench``, such as ``"scorers.pca_kde"``.

    Returns
    -------
    str
        First 16 hexadecimal digits of a SHA-256 over the sources, in order of module name.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    digest = hashlib.sha256()
    for module in sorted(found):
        digest.update(module.encode() + b"\0" + _source(module).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions of the named distributions, in the order given."""
    return {name: importlib.metadata.version(name) for name in names}


def _source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of this package that `module` names in its import statements."""
    names: list[str] = []
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("defectbench"):
            base = (node.module or "").removeprefix("defectbench").lstrip(".")
            if base:
                names.append(base)
            names += [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
    return tuple(name for name in names if _source(name).is_file())
