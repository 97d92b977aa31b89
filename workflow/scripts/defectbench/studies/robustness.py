"""What changed pictures do to detectors and thresholds that were fitted on clean ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.features.category import Features
from defectbench.records import Specification, read_held_out, read_scores, read_specified, with_code
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer
from defectbench.studies.levels import Judged, frozen_and_reset
from defectbench.studies.perturbed_features import Perturbation
from defectbench.studies.results import CLEAN, Level, Settings


class Detector(NamedTuple):
    """A fitted detector as the benchmark left it.

    Attributes
    ----------
    scorer
        Fitted.
    features_group, layers
        Names of the features that it reads.
    threshold
        The honest one of the clean images.
    clean_scores
        float64, (n_test_images,): its scores of the clean test images.
    specification
        The model's, with the code of this study.
    """

    scorer: Scorer
    features_group: str
    layers: Sequence[str]
    threshold: float
    clean_scores: np.ndarray
    specification: Specification

    def scores(self, features: Features) -> np.ndarray:
        """Anomaly scores of images, from what their backbone gave."""
        layers = [features[self.features_group][layer] for layer in self.layers]
        return self.scorer.anomaly_score(layers if len(layers) > 1 else layers[0])


def read_detector(
    method: Mapping[str, Any],
    model: str,
    held_out: str,
    scores: str,
    false_positive_rate: float,
    digest: str,
) -> Detector:
    """A detector from the files of stage `scores`.

    Parameters
    ----------
    method
        ``scorer``, ``parameters``, ``features_group`` and ``layers``.
    model, held_out, scores
        Its files.
    false_positive_rate
        Of the honest threshold.
    digest
        Of this study's code.
    """
    arrays, specification = read_specified(model)
    return Detector(
        scorer_class(method["scorer"])(**method["parameters"]).from_arrays(arrays),
        method["features_group"],
        method["layers"],
        threshold_at_false_positive_rate(read_held_out(held_out).scores, false_positive_rate),
        read_scores(scores).scores,
        with_code(specification, "study", digest),
    )


def perturbed_scores(
    detectors: Mapping[str, Detector], blocks: Iterable[Mapping[Perturbation, Features]]
) -> dict[str, dict[Perturbation, np.ndarray]]:
    """Scores of the test images by detector and perturbation; the clean images come last.

    Parameters
    ----------
    blocks
        From `perturbed_features`; each is scored and forgotten, so that memory stays bounded.
    """
    parts = [
        {
            name: {each: detector.scores(features) for each, features in block.items()}
            for name, detector in detectors.items()
        }
        for block in blocks
    ]
    return {
        name: {
            each: np.concatenate([part[name][each] for part in parts]) for each in parts[0][name]
        }
        | {Perturbation(CLEAN, 0): detector.clean_scores}
        for name, detector in detectors.items()
    }


def robustness_levels(
    detector: Detector,
    scores: Mapping[Perturbation, np.ndarray],
    images: Judged,
    settings: Settings,
) -> list[Level]:
    """For each perturbation a point ``frozen`` and a point ``reset``."""
    levels: list[Level] = []
    for perturbation, values in scores.items():
        varied = {"perturbation": perturbation.name, "level": perturbation.severity}
        levels += frozen_and_reset(varied, images, values, detector.threshold, settings)
    return levels
