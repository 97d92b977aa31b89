"""What the page shows of unlabelled images: verdicts, pictures, whether the world is the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.evaluation.cells import SEPARATOR
from defectbench.names import named_after
from defectbench.reports.gallery import data_uri
from defectbench.score_table import UNREADABLE, Row, read_rows
from defectbench.storage import read_json

MOST_ROWS = 100
"""Images of a category in the page's table, the highest scores first."""

BUDGET = 600_000
"""Bytes of all pictures of new images, as base64 text; each category has its part."""


class NewImages(NamedTuple):
    """Unlabelled images of one category, scored by one detector.

    Attributes
    ----------
    category, detector
        Their names.
    wanted
        The detector whose figures the page shows for the category; another one if that cannot be
        exported.
    summary
        Contents of ``summary.json``.
    rows
        Highest scores first: ``path``, ``score``, ``verdict``, ``share`` of the held-out good
        images that score lower, and ``picture``, a data URI or None.
    left_out
        Number of images that are not in `rows`.
    """

    category: str
    detector: str
    wanted: str
    summary: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    left_out: int


def read_new_images(folders: Sequence[Path], decision: Mapping[str, Any]) -> list[NewImages]:
    """New images of each category, by the detector that the decision shows for it.

    Where that one cannot be exported, the first of the ranking that can takes its place.

    Parameters
    ----------
    folders
        ``{category}/{method}/{backbone}/new_images`` of every detector that was exported.
    decision
        From `decision.decide`.
    """
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        category, method, backbone = folder.parts[-4:-1]
        detector = f"{method.partition(SEPARATOR)[0]} {backbone}"
        found.setdefault(category, {}).setdefault(detector, folder)  # of several seeds, the first
    ranking = [entry["detector"] for entry in decision["detectors"]]
    shown = {entry["category"]: entry["shown"] for entry in decision["categories"]}
    budget = BUDGET // max(1, len(found))
    return [
        _read(category, shown[category], ranking, found[category], budget)
        for category in shown
        if category in found
    ]


def _read(
    category: str, wanted: str, ranking: Sequence[str], folders: Mapping[str, Path], budget: int
) -> NewImages:
    detector = next(name for name in (wanted, *ranking) if name in folders)
    folder = folders[detector]
    scored = highest_scores(folder)
    rows = []
    for row in scored[:MOST_ROWS]:
        file = picture_file(folder, row["path"])
        picture = data_uri(file.read_bytes()) if file.is_file() else None  # few are drawn
        if picture is not None and len(picture) > budget:
            picture = None
        budget -= len(picture or "")
        rows.append(
            {
                "path": row["path"],
                "score": float(row["score"]),
                "verdict": row["verdict"],
                "share": float(row["share_of_good_below"]),
                "picture": picture,
            }
        )
    summary = read_json(folder / "summary.json")
    return NewImages(category, detector, wanted, summary, rows, len(scored) - len(rows))


def highest_scores(folder: Path) -> list[Row]:
    """Rows of the folder's ``scores.csv`` that have a score, highest first."""
    scored = [row for row in read_rows(folder) if row["verdict"] != UNREADABLE]
    return sorted(scored, key=lambda row: -float(row["score"]))


def picture_file(folder: Path, path: str) -> Path:
    """Where the picture of a scored image lies, if it was drawn."""
    return named_after(path, folder / "pictures", ".webp")
