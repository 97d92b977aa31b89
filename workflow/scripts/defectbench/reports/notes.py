"""Notes that earlier stages left about a category, to be printed."""

from collections.abc import Iterable
from pathlib import Path

from defectbench.storage import read_json


def notes_by_category(notes: Iterable[str], checks: Iterable[str]) -> dict[str, list[str]]:
    """What is worth knowing about each category.

    Parameters
    ----------
    notes
        Each category's ``notes.json``, a list of sentences.
    checks
        ``{category}/{method}/{backbone}/held_out_check.json`` of each cell; its ``warnings`` are
        such a list too, of that detector.
    """
    found = {Path(file).parent.name: read_json(file) for file in notes}
    for file in checks:
        category, method, backbone = Path(file).parts[-4:-1]
        found[category] += [f"{method} {backbone}: {text}" for text in read_json(file)["warnings"]]
    return found
