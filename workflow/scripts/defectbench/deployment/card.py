"""What a detector's file says of itself, beside its graph."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from defectbench.evaluation.thresholds import images_to_vouch_for, threshold_at_false_positive_rate

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
UNITS = {
    "kernel_pca_fre": "squared distance in the kernel's feature space, 0 to 1",
    "mahalanobis": "squared Mahalanobis distance, without unit",
    "nearest_neighbour": "units of the feature",
    "padim": "Mahalanobis distance, without unit",
    "patch_subspace": "squared units of the feature",
    "patchcore": "units of the feature",
    "pca_fre": "squared units of the feature",
    "pca_gaussian": "negative log likelihood, in nats",
    "pca_kde": "negative log density, in nats",
}
UNKNOWN_LICENCE = "not known here: ask where they come from"


def threshold_table(held_out: Sequence[float], asked: float) -> list[dict[str, float]]:
    """Thresholds for the asked false-positive rate and for the usual ones that the data can carry.

    Returns
    -------
    list of dict
        By falling ``false_positive_rate``: ``threshold``, and ``images_for_95_percent``, the
        held-out good images with which the rate holds with 95 % confidence, ln 0.05 / ln(1 - rate).
    """
    scores = np.asarray(held_out)
    carried = [rate for rate in RATES if rate * len(scores) >= 1]
    return [
        {
            "false_positive_rate": rate,
            "threshold": threshold_at_false_positive_rate(scores, rate),
            "images_for_95_percent": images_to_vouch_for(rate),
        }
        for rate in sorted({asked, *carried}, reverse=True)
    ]


def score_unit(scorer: str, n_layers: int) -> str:
    """Unit of a scorer's score."""
    if scorer == "pca_fre" and n_layers > 1:
        return "without unit: a held-out good image's map is 1 on average"
    return UNITS.get(scorer, "of the scorer")


def licence_notes(facts: Path, weights_sha256: str, source: str, dataset: str) -> dict[str, str]:
    """Licences of weights and data, as far as they are known.

    Parameters
    ----------
    facts
        Folder of ``weights.csv`` and ``licences.csv``.
    weights_sha256
        Of the weights: a file of the user's own may bear the name of any backbone.
    source, dataset
        The ``source`` of the dataset's images, which may be known, and its name, which is the
        user's to choose.
    """
    weights = [
        row["licence"]
        for row in _rows(facts / "weights.csv")
        if weights_sha256.startswith(row["sha256_prefix"])
    ]
    data = [
        row["licence"]
        for row in _rows(facts / "licences.csv")
        if (row["of"], row["name"]) in (("source", source), ("dataset", dataset))
    ]
    return {
        "weights": next(iter(weights), UNKNOWN_LICENCE),
        "data": next(iter(data), UNKNOWN_LICENCE),
        "probe_image": "one of the data",
    }


def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
