"""What set-ups are compared by: escapes, AUROC, or how stable the scores of good images are."""

from collections.abc import Sequence

import numpy as np

from defectbench import records
from defectbench.errors import InputError
from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.choice import AUROC, ESCAPES, STABILITY
from defectbench.evaluation.image_metrics import image_auroc
from defectbench.evaluation.nested_choice import merit
from defectbench.evaluation.promises import AVERAGE, Asked, fewest, promise
from defectbench.images.index import IndexRow

FEWEST_TEST_IMAGES = 5

UNSTABLE = -1e9
"""Of held-out scores most of which are equal."""


def compared_by(index: Sequence[IndexRow], rate: float) -> tuple[str, str]:
    """What set-ups are compared by on parts of these images and on all; see `Settings`.

    Raises
    ------
    InputError
        If there are defective test images, but too few of them or of good ones.
    """
    good, defective = (
        np.array([row.group for row in index if row.split == "test" and row.label == label])
        for label in (0, 1)
    )
    if not len(defective):
        return STABILITY, STABILITY
    for kind, images in (("good", good), ("defective", defective)):
        if len(images) < FEWEST_TEST_IMAGES:
            raise InputError(
                f"the search needs {FEWEST_TEST_IMAGES} {kind} test images, and there are "
                f"{len(images)}: add some, or take the defective ones out of test/ to compare "
                "stability and cost alone"
            )
    held_out = [row.group for row in index if row.split != "test"]
    needed = fewest(0, rate, AVERAGE) or np.inf
    counts = (independent_images(groups) for groups in (good, np.append(good, held_out)))
    on_part, on_all = (ESCAPES if count >= needed else AUROC for count in counts)
    return on_part, on_all


def stability(held_out_scores: np.ndarray, groups: Sequence[str], rate: float) -> float:
    """How near to the other good images those lie that set the threshold, the more the better.

    The negative distance of the threshold from the median of held-out scores, in units of their
    interquartile range: where few good images lie far from the others, the threshold is high, and
    what it lets through depends on them.
    """
    low, median, high = np.quantile(held_out_scores, [0.25, 0.5, 0.75])
    threshold = promise(held_out_scores, groups, Asked(rate))["threshold"]
    return -float((threshold - median) / (high - low)) if high > low else UNSTABLE


def merits_of_part(test: records.Scores, by: str, rate: float) -> tuple[float, float]:
    """Merit and AUROC on a part of the images."""
    auroc = image_auroc(test.labels, test.scores)
    return merit(test, by, rate), auroc


def pooled_merit(
    test: records.Scores, good: records.HeldOutScores, by: str, rate: float
) -> float | None:
    """`nested_choice.merit`; escapes where good test images and held-out ones set the threshold.

    So there are more of them: a threshold for 5 % takes 19. Both are new to the detector.
    """
    if by != ESCAPES:
        return merit(test, by, rate)
    added = len(good.scores)
    pooled = records.Scores(
        [*test.paths, *good.paths],
        np.concatenate([test.labels, np.zeros(added, int)]),
        np.concatenate([test.defects, np.full(added, "good")]),
        np.concatenate([test.groups, good.groups]),
        np.concatenate([test.scores, good.scores]),
    )
    return merit(pooled, by, rate)


def of_test(rows: Sequence[IndexRow], scores: np.ndarray) -> records.Scores:
    columns = (
        np.array([getattr(row, key) for row in rows]) for key in ("label", "defect", "group")
    )
    return records.Scores([row.path for row in rows], *columns, scores)
