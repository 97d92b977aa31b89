"""How long a detector takes from an image's file to its verdict, one image at a time.

In PyTorch, as the benchmark computes; an exported detector, in onnxruntime, is measured by rule
`detector_cost`. Both claim all cores, so that nothing runs beside them.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.features.devices import Machine, prepared_extractors
from defectbench.features.feature_file import Pass
from defectbench.images.decoding import load_resized
from defectbench.images.index import IndexRow
from defectbench.scorers import scorer_class
from defectbench.scorers.largest_tile import of_features
from defectbench.scorers.layers import has_maps

TIMED = 10
"""Test images that are timed, spread over all of them; one more comes first and is not counted."""

MOST_THREADS = 8
"""More make no single image faster."""


def milliseconds(
    detector: Mapping[str, Any],
    arrays: dict[str, np.ndarray],
    images: Path,
    index: Sequence[IndexRow],
    weights: str,
    machine: Machine,
    bits: int | None,
) -> tuple[float, str]:
    """Median time from an image's file to its score, map and so its verdict; and the device.

    Parameters
    ----------
    detector
        ``scorer``, ``parameters``, and ``entry``: the pass that it reads, of its own layers alone.
    arrays
        Of the fitted scorer.
    images, index
        The category's folder and index.
    weights
        Of the backbone.
    machine
        Where and how features are computed.
    bits
        As in `images.decoding.load_image`.
    """
    wanted = Pass.of_entry(detector["entry"], weights, index)
    scorer = scorer_class(detector["scorer"])(**detector["parameters"]).from_arrays(arrays)
    test = [row for row in index if row.split == "test"]
    rows = np.linspace(0, len(test) - 1, min(len(test), TIMED)).astype(int)
    seconds = []
    with prepared_extractors([wanted], machine, batch=1) as (made, networks):
        for row in [rows[0], *rows]:
            file, start = images / test[row].file, time.perf_counter()
            image = load_resized(file, {wanted.preprocessing: wanted.settings}, bits)
            features = networks[wanted.name]([image[wanted.preprocessing]], [file])
            layers = [features[tap.name] for tap in wanted.taps]
            X = layers if len(layers) > 1 else layers[0]
            fitted = of_features(scorer, X)
            if fitted.localizes and has_maps(X):
                fitted.score_and_map(X)
            else:
                fitted.anomaly_score(X)
            seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[1:])), made.device
