"""What the images that came back from the line change in the figures of a detector."""

from typing import Any

import numpy as np

from defectbench.evaluation.cells import CellResults
from defectbench.evaluation.operating_points import judged, mean_point
from defectbench.images.layout import is_reviewed
from defectbench.records import Scores


def reviewed_figures(cell: CellResults) -> dict[str, Any] | None:
    """Figures at the honest threshold without these images, and of them alone.

    Returns
    -------
    dict or None
        ``before`` and ``reviewed``, each with ``good`` and ``defective``, the numbers of test
        images, and the figures of `operating_points.judged`; of several seeds their means. None
        without such images.
    """
    came_back = np.array([is_reviewed(path) for path in cell.test.paths], dtype=bool)
    if not came_back.any():
        return None
    return {"before": _figures(cell, ~came_back), "reviewed": _figures(cell, came_back)}


def _figures(cell: CellResults, wanted: np.ndarray) -> dict[str, Any]:
    """Of some of the test images."""
    labels = cell.test.labels[wanted]
    points = [judged(some(each.test, wanted), each.threshold) for each in cell.seeds]
    return {
        "good": int((labels == 0).sum()),
        "defective": int((labels == 1).sum()),
        **mean_point(points),
    }


def some(test: Scores, wanted: np.ndarray) -> Scores:
    """Rows of some test images; `wanted` is bool, (n_images,)."""
    paths = [path for path, is_wanted in zip(test.paths, wanted, strict=True) if is_wanted]
    return Scores(paths, *(values[wanted] for values in test[1:]))
