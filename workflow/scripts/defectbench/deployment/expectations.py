"""Thresholds, what they let expect and what they come from, as a detector carries them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.map_geometry import map_scale
from defectbench.evaluation.promises import Asked, Promise, most_above, promise
from defectbench.names import printable

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
"""False-positive rates of a detector's table of thresholds."""


def asked_for(promised: Promise) -> Asked:
    """What a threshold was set for."""
    return Asked(promised["asked"], promised["rule"], promised["folds"])


def threshold_entries(
    scores: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    maps: np.ndarray | None,
    promised: Promise,
) -> dict[str, Any]:
    """The entries of a detector's metadata that good images decide.

    Parameters
    ----------
    scores, groups, promised
        As for `threshold_table`.
    maps
        Of the same images: float32, (n_images, rows, columns), in memory or as an HDF5 dataset;
        None without localization.

    Returns
    -------
    dict
        ``threshold``, ``thresholds``, ``held_out_scores`` and ``map_scale``.
    """
    scale = None if maps is None else map_scale(maps, np.asarray(groups, str), asked_for(promised))
    return {
        "threshold": expectation(promised),
        "thresholds": threshold_table(scores, groups, promised),
        "held_out_scores": sorted(scores.tolist()),
        "map_scale": scale and scale._asdict(),
    }


def calibration_entry(
    folder: str,
    promised: Promise,
    copies: int,
    digests: Iterable[str],
    statistics: Mapping[str, Any],
) -> dict[str, Any]:
    """What a detector says of the good parts that its threshold comes from.

    Parameters
    ----------
    folder
        Its name.
    promised
        The threshold that they set.
    copies
        Number of images that were left out, for they are in there.
    digests
        SHA-256 of the pixels of each image at network size.
    statistics
        Of the images, from `photographs.photographed`.

    Returns
    -------
    dict
        ``folder``, ``images``, ``parts``, ``copies``, ``images_sha256`` and ``statistics``.
    """
    return {
        "folder": printable(folder),
        "images": promised["images"],
        "parts": promised["groups"],
        "copies": copies,
        "images_sha256": hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest(),
        "statistics": dict(statistics),
    }


def threshold_table(
    scores: np.ndarray, groups: Sequence[str] | np.ndarray, promised: Promise
) -> list[dict[str, Any]]:
    """Thresholds for the asked false-positive rate and for usual ones that the images support.

    Parameters
    ----------
    scores, groups
        Of good images that the detector was not fitted on; as for `promises.promise`.
    promised
        The honest threshold, and what it lets expect.

    Returns
    -------
    list of dict
        From `expectation`, by falling ``false_positive_rate``.
    """
    found = {promised["asked"]: promised}
    for rate in set(RATES) - found.keys():
        if most_above(promised["groups"], rate, promised["rule"]) >= 0:
            asked = asked_for(promised)._replace(rate=rate)
            found[rate] = promise(scores, groups, asked)
    return [expectation(found[rate]) for rate in sorted(found, reverse=True)]


def expectation(promised: Promise) -> dict[str, Any]:
    """A threshold and what it lets expect, for people who have nothing but the detector.

    Returns
    -------
    dict
        ``value``; ``false_positive_rate`` that was asked for; ``rule`` that set it for that rate;
        ``estimate``: why the rule does not hold, empty if it does; ``expected_rate`` of new good
        images, on average, or ``at_most``, and ``rate_range`` of this one threshold in 95 of 100
        cases;
        ``images``, ``groups``: held-out good images, and how many of them are independent.
    """
    names = {
        "value": "threshold",
        "false_positive_rate": "asked",
        "expected_rate": "expected",
        "rate_range": "range",
    }
    same = ("rule", "estimate", "at_most", "images", "groups")
    return {new: promised[old] for new, old in (names | dict(zip(same, same, strict=True))).items()}
