"""What a threshold set anew, on good test images, is worth on the others."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from defectbench.evaluation.held_out import folds
from defectbench.evaluation.promises import Promise, promise
from defectbench.studies.levels import level
from defectbench.studies.results import Level, Settings
from defectbench.studies.threshold_error import found_within, widened
from defectbench.studies.verdicts import Judged, Verdict

HALVES = 2


def reset_level(
    varied: Mapping[str, Any], images: Judged, scores: np.ndarray, settings: Settings
) -> Level:
    """A point whose threshold is set on good images of the same kind.

    Its intervals are those of thresholds that are set on as many other good images: what is found
    depends on them more than on the defective images.

    Parameters
    ----------
    varied
        The point's keys beside the figures, as in `Level`.
    images, scores
        The test images, at least `HALVES` good ones among them; float64, (n_images,).
    settings
        Rate and rule of the threshold; seed.
    """
    verdict, promises = _set_anew(images, scores, settings)
    found = level(varied, len(scores), [verdict], settings.seed)
    found["repeats"][0]["set_on"] = min(each["groups"] for each in promises)
    reached = found_within(verdict._replace(promised=promises[0]))
    found["intervals"]["recall"] = widened(found["recall"], found["intervals"]["recall"], reached)
    return found


def _set_anew(
    images: Judged, scores: np.ndarray, settings: Settings
) -> tuple[Verdict, list[Promise]]:
    """What thresholds of both halves say, and what they promise.

    They have to be good images that the detector was not fitted on and that do not judge it: one
    half of the good test images sets the threshold for the other half, and the other way round;
    groups are whole. A defective image counts 0, ½ or 1, by how many of the two thresholds it
    reaches; the threshold stated is their mean.
    """
    good, defective = np.flatnonzero(images.labels == 0), images.labels == 1
    called = np.zeros(len(scores))
    promises = []
    for judged in folds(images.groups[good].tolist(), HALVES, settings.seed):
        others = np.delete(good, judged)
        promises.append(promise(scores[others], images.groups[others], settings.asked))
        at = promises[-1]["threshold"]
        called[good[judged]] = scores[good[judged]] >= at
        called[defective] += (scores[defective] >= at) / HALVES
    threshold = float(np.mean([each["threshold"] for each in promises]))
    return Verdict(images, scores, called, threshold), promises
