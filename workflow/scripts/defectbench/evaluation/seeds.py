"""Detectors that draw random numbers: the runs with several seeds, brought together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from defectbench.reports.results import COUNTS, Metrics, Replicates

SEPARATOR = "@"
"""Between method and seed, see `config.separate_seeds`."""


def average_seeds(metrics: Metrics, replicates: Replicates) -> tuple[Metrics, Replicates]:
    """One entry per category and detector: of several seeds, the mean of each figure.

    Parameters
    ----------
    metrics, replicates
        As for `results.paired_differences`.

    Returns
    -------
    metrics
        Entries of several seeds have ``seeds``, the list, and ``deviations``, the standard
        deviation of each figure over them; their intervals reach from the mean lower to the mean
        upper limit. What is no figure (thresholds, counts, defect types, worst images) is that of
        the first seed; a flag stands if it does with any seed.
    replicates
        Means over the seeds, which are resampled alike.
    """
    cells: dict[tuple[str, ...], list[int]] = {}
    for place, entry in enumerate(metrics):
        cells.setdefault(without_seed(entry), []).append(place)
    return (
        [_merged([metrics[place] for place in places]) for places in cells.values()],
        [
            {name: np.mean([replicates[p][name] for p in places], axis=0) for name in _common(each)}
            for places in cells.values()
            for each in [[replicates[place] for place in places]]
        ],
    )


def without_seed(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Category, method and backbone, which the seeds of a detector share."""
    return entry["category"], entry["method"].partition(SEPARATOR)[0], entry["backbone"]


def _merged(entries: Metrics) -> Mapping[str, Any]:
    first = entries[0]
    method, separator, _ = first["method"].partition(SEPARATOR)
    if not separator:
        return first
    seeds = [entry["provenance"]["parameters"]["seed"] for entry in entries]
    made = first["provenance"]
    merged = (
        first
        | _mean_figures(entries)
        | {
            "method": method,
            "seeds": seeds,
            "reasons": {key: text for entry in entries for key, text in entry["reasons"].items()},
            "cautions": list(
                dict.fromkeys(text for entry in entries for text in entry["cautions"])
            ),
            "flags": _any_flag([entry["flags"] for entry in entries]),
            "provenance": made | {"parameters": made["parameters"] | {"seed": seeds}},
        }
    )
    if "pixels" in first:
        merged["pixels"] = first["pixels"] | _mean_figures([entry["pixels"] for entry in entries])
    return merged


def _mean_figures(entries: Metrics) -> dict[str, dict[str, Any]]:
    """``metrics`` and ``intervals`` averaged, and the ``deviations`` of the metrics."""
    first = entries[0]
    means, deviations = dict(first["metrics"]), {}
    for name in means:
        values = [entry["metrics"].get(name) for entry in entries]
        if None not in values and not name.endswith(COUNTS):
            means[name] = float(np.mean(values))
            deviations[name] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    intervals = {
        name: np.mean([entry["intervals"][name] for entry in entries], axis=0).tolist()
        for name in _common([entry["intervals"] for entry in entries])
    }
    return {"metrics": means, "deviations": deviations, "intervals": intervals}


def _common(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys that all have, in the order of the first."""
    return [key for key in mappings[0] if all(key in each for each in mappings)]


def _any_flag(flags: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rates = {each["false_positive_rate"] for each in flags}
    beats = [each["beats_trivial_f1"] for each in flags]
    return {
        "false_positive_rate": next((rate for rate in ("above", "below") if rate in rates), None),
        "beats_trivial_f1": False if False in beats else beats[0],
    }
