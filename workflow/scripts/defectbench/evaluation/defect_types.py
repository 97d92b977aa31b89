"""Metrics per type of defect."""

import numpy as np

from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.image_metrics import average_precision, image_auroc
from defectbench.evaluation.intervals import effective_size, ranking_intervals, rate_interval


def defect_metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    defects: np.ndarray,
    groups: np.ndarray,
    threshold: float | None,
    seed: int,
    category: str,
) -> list[dict[str, str | int | float | tuple[float, float] | None]]:
    """Per defect type: number of images, AUROC against the good ones, share found.

    For ``good`` images the share is the one called defective, and there is no AUROC. Without a
    threshold there is no share.

    Parameters
    ----------
    labels, scores, defects, groups
        Of the test images.
    threshold
        Images from this score on are called defective.
    seed, category
        What the resampling behind the intervals depends on.

    Returns
    -------
    list of dict
        ``defect``, ``images``, ``image_auroc``, ``called_defective``, and of the last two an
        ``…_interval``; None where there is none.
    """
    rows: list[dict[str, str | int | float | tuple[float, float] | None]] = []
    for defect in sorted(set(defects.tolist())):
        own = defects == defect
        compared = own | (labels == 0)
        auroc, auroc_interval = _auroc(
            labels[compared], scores[compared], groups[compared], seed, category
        )
        called, called_interval = _share(scores[own], groups[own], threshold)
        rows.append(
            {
                "defect": defect,
                "images": int(own.sum()),
                "image_auroc": auroc,
                "image_auroc_interval": auroc_interval,
                "called_defective": called,
                "called_defective_interval": called_interval,
            }
        )
    return rows


def _auroc(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int, category: str
) -> tuple[float | None, tuple[float, float] | None]:
    metrics = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
    }
    replicates = bootstrap_replicates(labels, scores, groups, seed, category)
    intervals = ranking_intervals(metrics, replicates, labels, groups)
    return metrics["image_auroc"], intervals.get("image_auroc")


def _share(
    scores: np.ndarray, groups: np.ndarray, threshold: float | None
) -> tuple[float | None, tuple[float, float] | None]:
    if threshold is None:
        return None, None
    called = scores >= threshold
    share = float(called.mean())
    return share, rate_interval(share, effective_size(called, groups))
