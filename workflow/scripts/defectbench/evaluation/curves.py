"""Curves behind the figures: their corners alone, which is all that a drawing needs."""

import numpy as np

from defectbench.evaluation.image_metrics import counts_by_threshold

Curve = tuple[np.ndarray, np.ndarray]


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """False-positive rate and share of defects found, from the highest threshold down.

    None unless both classes occur. Points on a straight line between others are left out.
    """
    n_defective = int((labels == 1).sum())
    if n_defective in (0, len(labels)):
        return None
    found, alarms, _ = counts_by_threshold(labels, scores)
    found, alarms = (np.insert(counts, 0, 0) for counts in (found, alarms))
    steps = np.stack([np.diff(found), np.diff(alarms)])
    turns = steps[0, 1:] * steps[1, :-1] != steps[1, 1:] * steps[0, :-1]
    corners = np.flatnonzero(np.concatenate([[True], turns, [True]]))
    return alarms[corners] / (len(labels) - n_defective), found[corners] / n_defective


def precision_recall_curve(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """Recall and precision at each threshold where a defect is found, from the highest down.

    None unless both classes occur.
    """
    n_defective = int((labels == 1).sum())
    if n_defective in (0, len(labels)):
        return None
    found, alarms, _ = counts_by_threshold(labels, scores)
    gains = np.diff(found, prepend=0) > 0
    return found[gains] / n_defective, found[gains] / (found + alarms)[gains]
