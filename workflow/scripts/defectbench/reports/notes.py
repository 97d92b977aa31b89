"""Notes that earlier stages left about a category, to be printed."""

from collections.abc import Iterable
from pathlib import Path

from defectbench.storage import read_json


def notes_by_category(cells: Iterable[Path]) -> dict[str, list[str]]:
    """What is worth knowing about each category.

    Parameters
    ----------
    cells
        Folders ``results/{dataset}/{category}/{method}/{backbone}``. The category's
        ``notes.json`` is a list of sentences; the ``warnings`` of a cell's
        ``held_out_check.json`` are such a list too, and are of that detector.
    """
    found: dict[str, list[str]] = {}
    for cell in cells:
        category, method, backbone = cell.parts[-3:]
        notes, check = cell.parents[1] / "notes.json", cell / "held_out_check.json"
        if category not in found:
            found[category] = read_json(notes) if notes.is_file() else []
        warnings = read_json(check)["warnings"] if check.is_file() else []
        found[category] += [f"{method} {backbone}: {text}" for text in warnings]
    return found
