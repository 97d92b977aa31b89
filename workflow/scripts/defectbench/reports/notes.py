"""Notes that earlier stages left about a category, to be printed."""

from collections.abc import Iterable
from pathlib import Path

from defectbench.storage import read_json


def notes_by_category(notes: Iterable[str], held_out_checks: Iterable[str]) -> dict[str, list[str]]:
    """What is worth knowing about each category.

    Parameters
    ----------
    notes
        Files ``results/{dataset}/{category}/notes.json``: a list of sentences.
    held_out_checks
        Files ``results/{dataset}/{category}/{method}/{backbone}/held_out_check.json``: their
        ``warnings`` are such a list, which begins with the detector in print.
    """
    found: dict[str, list[str]] = {}
    for path in map(Path, notes):
        found.setdefault(path.parent.name, []).extend(read_json(path))
    for path in map(Path, held_out_checks):
        category, method, backbone = path.parts[-4:-1]
        warnings = read_json(path)["warnings"]
        found.setdefault(category, []).extend(f"{method} {backbone}: {text}" for text in warnings)
    return found
