"""What makes an artefact: digests of code, versions of libraries, SHA-256 of files, memory."""

import errno
import hashlib
import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from defectbench.special_files import is_special

PACKAGE = Path(__file__).parent
SCRIPTS = PACKAGE.parent
FACTS = SCRIPTS.parent / "facts"

LIBRARIES = re.compile(
    r"^\s*(?:from|import) (PIL|imagecodecs|jinja2|matplotlib|numpy|onnx|onnxruntime|pandas|scipy|"
    r"sklearn|tabulate|timm|torch|torchvision)\b",
    re.MULTILINE,
)
"""Finds where a library is imported whose version decides what comes out."""

DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""Distributions of libraries that are imported by another name."""

OWN = re.compile(rf"^\s*from ({PACKAGE.name}[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


@cache
def stage_digest(script: str, *modules: str) -> dict[str, str]:
    """What decides the numbers of a stage beside its inputs and parameters.

    The digest is of bytes, which are the same for every version of Python, and of whole files:
    a comment counts.

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
        this package that it imports, directly or not; and the version of each library that those
        import.
    """
    sources = {f"{script}.py": SCRIPTS / f"{script}.py", **_closure(script, modules)}
    digest = hashlib.sha256()
    libraries: set[str] = set()
    for name in sorted(sources):
        digest.update(f"{name}\0".encode() + hashlib.sha256(sources[name].read_bytes()).digest())
        libraries.update(LIBRARIES.findall(_text(sources[name])))
    versions = library_versions(*(DISTRIBUTIONS.get(name, name) for name in libraries))
    return {"code": digest.hexdigest()[:16], **versions}


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read, or is no file, as a pipe, of which a read would never end.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "it is no file; remove it", os.fspath(path))
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, in megabytes; None where Linux is not.

    `resource.getrusage` gives another figure: its maximum goes over to a child process, so that a
    job would be charged with what Snakemake had needed before it started the job.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def library_versions(*distributions: str) -> dict[str, str]:
    """Installed versions, sorted by name; empty for one that is not installed here."""
    return {name: _version(name) for name in sorted(distributions)}


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
        if module not in found:
            found[module] = _source(module)
            waiting += _own_imports(found[module])
            waiting += [module.rpartition(".")[0]] if "." in module else []  # runs its __init__
    return found


def _source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _own_imports(source: Path) -> Iterator[str]:
    """Modules of this package that a file imports; a member may be a module itself."""
    for module, members in OWN.findall(_text(source)):
        for name in [module, *(f"{module}.{member}" for member in re.findall(r"\w+", members))]:
            inner = name.removeprefix(PACKAGE.name).removeprefix(".")
            if inner and _source(inner).is_file():
                yield inner


@cache
def _text(source: Path) -> str:
    return source.read_text(encoding="utf-8")
