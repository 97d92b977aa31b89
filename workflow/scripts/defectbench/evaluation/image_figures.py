"""All image-level figures of one detector on one category, and of each type of defect."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from defectbench.evaluation.at_rate import escapes_at_rate
from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.cautions import cautions, flags, reasons
from defectbench.evaluation.decisive import decisive_figures
from defectbench.evaluation.good_images import GoodImages
from defectbench.evaluation.image_metrics import (
    average_precision,
    image_auroc,
    image_metrics,
    worst_ranked,
)
from defectbench.evaluation.metric_intervals import metric_intervals, ranking_intervals
from defectbench.evaluation.operating_points import operating_point
from defectbench.evaluation.promises import Asked, promise
from defectbench.evaluation.rates import Interval, share_interval
from defectbench.evaluation.thresholds import oracle_threshold
from defectbench.records import Scores


def image_figures(
    test: Scores,
    good: GoodImages,
    asked: Asked,
    seed: int,
    category: str,
    without_decisive: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What ``metrics.json`` says beside names and specification.

    Parameters
    ----------
    test, good
        Scores of the test images, and of those that set thresholds.
    asked
        What a threshold of held-out images is to keep.
    seed, category
        What the resampling depends on.
    without_decisive
        Contents of ``without_decisive.json``, see `decisive.decisive_figures`.

    Returns
    -------
    figures : dict
        The keys of `records.Metrics` from ``images`` to ``worst``.
    replicates : dict of str to ndarray
        From `bootstrap.bootstrap_replicates`.
    """
    labels, scores, groups = test.labels, test.scores, test.groups
    promised = promise(good.setting.scores, good.setting.groups, good.asked(asked))
    of_held_out = promise(good.held_out.scores, good.held_out.groups, asked)
    honest = promised["threshold"]
    thresholds = {"oracle": oracle_threshold(labels, scores), "honest": honest}
    called = scores >= (np.inf if honest is None else honest)
    metrics = image_metrics(labels, scores, thresholds)
    replicates = bootstrap_replicates(labels, scores, groups, seed, category)
    at_rate, escapes = escapes_at_rate(test, asked.rate, seed, category)
    if len(escapes):
        replicates["escape_rate"] = escapes
    why = reasons(metrics, labels, thresholds)
    intervals = metric_intervals(metrics, replicates, labels, called, groups)
    set_by = decisive_figures(test, good.setting, good.asked(asked), without_decisive)
    seen = {*good.held_out.groups, *good.calibration.groups} - {""}
    figures = {
        "images": {
            "train": len(good.held_out.scores),
            "calibration": len(good.calibration.scores),
            "test_good": int((labels == 0).sum()),
            "test_defective": int((labels == 1).sum()),
        },
        "held_out_images": len(good.held_out.scores),
        "thresholds": thresholds,
        "promise": promised,
        "held_out": operating_point(test, of_held_out),
        "metrics": metrics,
        "intervals": intervals,
        "reasons": why,
        "cautions": list(cautions(test, promised).values()),
        "flags": flags(
            test,
            promised,
            intervals,
            why,
            odd=bool(set_by and set_by["odd"]),
            known=not seen.isdisjoint(groups),
        ),
        "set_by": set_by,
        "at_rate": at_rate,
        "defects": defect_metrics(test, honest, seed, category),
        "worst": [
            {
                "path": test.paths[row],
                "anomaly_score": float(scores[row]),
                "rank_error": error,
            }
            for row, error in worst_ranked(labels, scores)
        ],
    }
    return figures, replicates


def defect_metrics(
    test: Scores, threshold: float | None, seed: int, category: str
) -> list[dict[str, str | int | float | Interval | None]]:
    """Per defect type: number of images, AUROC against the good ones, share found.

    For ``good`` images the share is the one called defective, and there is no AUROC. Without a
    threshold there is no share.

    Parameters
    ----------
    test
        Scores of the test images.
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
    rows: list[dict[str, str | int | float | Interval | None]] = []
    for defect in sorted(set(test.defects.tolist())):
        own = test.defects == defect
        compared = own | (test.labels == 0)
        auroc, auroc_interval = _auroc(
            test.labels[compared], test.scores[compared], test.groups[compared], seed, category
        )
        called, called_interval = _share(test.scores[own], test.groups[own], threshold)
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
) -> tuple[float | None, Interval | None]:
    metrics = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
    }
    replicates = bootstrap_replicates(labels, scores, groups, seed, category)
    intervals = ranking_intervals(metrics, replicates, labels, groups)
    return metrics["image_auroc"], intervals.get("image_auroc")


def _share(
    scores: np.ndarray, groups: np.ndarray, threshold: float | None
) -> tuple[float | None, Interval | None]:
    if threshold is None:
        return None, None
    called = scores >= threshold
    return float(called.mean()), share_interval(called, groups)
