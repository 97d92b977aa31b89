"""What a detector and its threshold, as they are, are worth on other images and on changed ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.records import Specification, read_metrics, read_scores, read_specified, with_code
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer
from defectbench.scorers.largest_tile import of_features
from defectbench.scorers.layers import take_images
from defectbench.studies.levels import level
from defectbench.studies.perturbed_features import Perturbation
from defectbench.studies.reset import HALVES, reset_level
from defectbench.studies.results import CLEAN, Level, Settings, Variant, missing_level
from defectbench.studies.trial import Category, trial
from defectbench.studies.verdicts import Judged, Verdict

MOST_NAMED = 5
"""Groups that an error names."""


def across(
    scorer: Scorer,
    home: Category,
    train: tuple[str, np.ndarray],
    tests: Iterable[tuple[str, Category, np.ndarray]],
    settings: Settings,
) -> list[Level]:
    """Figures of several sets of test images, with the threshold as it is and set anew.

    Parameters
    ----------
    scorer
        With its parameters.
    home
        The category on which it is fitted.
    train
        Name of the training images, and their rows.
    tests
        Name of each set of test images, its category and rows.
    settings
        Threshold and seed.

    Returns
    -------
    list of dict
        For each set a point ``frozen`` and a point ``reset``.
    """
    name, rows = train
    try:
        threshold = trial(scorer, home, rows, home.test, settings).verdict.threshold
    except InputError as error:  # groups of too few images for the scorer, which is an answer too
        return [
            missing_level({"train": name, "level": title, "variant": each}, len(rows), str(error))
            for title, *_ in tests
            for each in (Variant.FROZEN, Variant.RESET)
        ]
    levels: list[Level] = []
    for title, category, shown in tests:
        scores = scorer.anomaly_score(take_images(category.X, shown))
        varied, images = {"train": name, "level": title}, category.judged(shown)
        levels += frozen_and_reset(varied, images, scores, threshold, settings)
    return levels


def fitted_rows(category: Category, groups: Sequence[str]) -> np.ndarray:
    """Training images of these groups; all without any.

    Raises
    ------
    InputError
        If the category has no training image of a group.
    """
    return _of_groups(category, category.train, groups, "training")


def judging_rows(category: Category, groups: Sequence[str]) -> np.ndarray:
    """Test images of these groups; all without any.

    Raises
    ------
    InputError
        If the category has no test image of a group, or the groups' are not of both kinds.
    """
    rows = _of_groups(category, category.test, groups, "test")
    if len(set(category.labels[rows])) < 2:
        raise InputError(
            f"config: studies.across: {category.name}: the test images of the groups "
            f"{', '.join(groups)} are not of both kinds, good and defective; name more groups"
        )
    return rows


def _of_groups(
    category: Category, rows: np.ndarray, groups: Sequence[str], kind: str
) -> np.ndarray:
    if not groups:
        return rows
    there = category.groups[rows]
    if unknown := sorted(set(groups) - set(there)):
        found = sorted(set(there) - {""})
        some = (
            ", ".join(found[:MOST_NAMED]) + ", …" * (len(found) > MOST_NAMED) if found else "none"
        )
        raise InputError(
            f"config: studies.across: {category.name} has no {kind} image of group {unknown[0]!r}; "
            f"its groups of them: {some}"
        )
    return rows[np.isin(there, groups)]


def frozen_and_reset(
    varied: Mapping[str, Any],
    images: Judged,
    scores: np.ndarray,
    threshold: float,
    settings: Settings,
) -> list[Level]:
    """Points of changed or other test images: at the threshold as it is, and with it set anew.

    Parameters
    ----------
    varied
        The points' keys beside the figures, as in `Level`; their variants are added.
    images, scores
        The test images, and float64, (n_images,).
    threshold
        The honest one that the detector came with.
    settings
        Rate of the threshold set anew; seed.
    """
    frozen, reset = ({**varied, "variant": variant} for variant in (Variant.FROZEN, Variant.RESET))
    verdict = Verdict(images, scores, scores >= threshold, threshold)
    points = [level(frozen, len(scores), [verdict], settings.seed)]
    if (images.labels == 0).sum() < HALVES:
        reason = "a single good test image: none is left to set the threshold on"
        return [*points, missing_level(reset, len(scores), reason)]
    return [*points, reset_level(reset, images, scores, settings)]


class Detector(NamedTuple):
    """A fitted detector as the benchmark left it.

    Attributes
    ----------
    scorer
        Fitted.
    features_group, layers
        Names of the features that it reads.
    threshold
        That of held-out training images, in every study.
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

    def scores(self, features: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
        """Anomaly scores of images, from what their backbone gave."""
        layers = [features[self.features_group][layer] for layer in self.layers]
        X = layers if len(layers) > 1 else layers[0]
        return of_features(self.scorer, X).anomaly_score(X)


def read_detector(
    method: Mapping[str, Any],
    model: str,
    scores: str,
    metrics: str,
    digest: str,
) -> Detector:
    """A detector from the files of the stages `scores` and `metrics`.

    Parameters
    ----------
    method
        ``scorer``, ``parameters``, ``features_group`` and ``layers``.
    model, scores, metrics
        Its files.
    digest
        Of this study's code.
    """
    arrays, specification = read_specified(model)
    return Detector(
        scorer_class(method["scorer"])(**method["parameters"]).from_arrays(arrays),
        method["features_group"],
        method["layers"],
        read_metrics(metrics)["held_out"]["threshold"],
        read_scores(scores).scores,
        with_code(specification, "study", digest),
    )


def perturbed_scores(
    detectors: Mapping[str, Detector], blocks: Iterable[Mapping[Perturbation, Mapping[str, Any]]]
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
