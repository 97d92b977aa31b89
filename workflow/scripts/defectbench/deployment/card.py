"""What a detector's file says of itself: thresholds, units, probe, training images, licences."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.deployment.expectations import calibration_entry, threshold_entries
from defectbench.deployment.metadata import FORMAT, NAMES
from defectbench.deployment.probe import encode_probe
from defectbench.deployment.proof import score_tolerance
from defectbench.errors import InputError
from defectbench.evaluation.good_images import GoodImages
from defectbench.evaluation.photographs import image_statistics, photographed
from defectbench.evaluation.score_units import score_unit
from defectbench.images.network_image import covers_canvas, decoded_image, decoded_images
from defectbench.records import Metrics, Scores, Specification

SPECIFIED = ("preprocessing", "bits", "scorer", "parameters", "layers")
"""What the metadata say of the model; all of its specification is their ``provenance``."""


class Benchmarked(NamedTuple):
    """A detector on a category as the benchmark leaves it.

    Attributes
    ----------
    files
        Images of the category by their paths in its index.
    specification
        Of the model.
    metrics
        Its names, the honest threshold and the false-positive rate that it was set for.
    test, good
        Scores of test images, and of good ones: of calibration images, and of the training images
        that trimming left.
    maps
        ``test``, ``held_out``, ``calibration``: (n_images, rows, columns), in memory or as HDF5
        datasets; empty without localization.
    calibration
        Name of the folder of the calibration images; empty for none.
    """

    files: Mapping[str, Path]
    specification: Specification
    metrics: Metrics
    test: Scores
    good: GoodImages
    maps: Mapping[str, np.ndarray]
    calibration: str = ""

    @property
    def test_files(self) -> list[Path]:
        """Test images, in the order of their scores."""
        return [self.files[path] for path in self.test.paths]


def detector_metadata(cell: Benchmarked, threads: int) -> dict[str, Any]:
    """What a detector says of itself, but for licences, provenance and proof.

    Parameters
    ----------
    cell
        The detector.
    threads
        That decode the good images, whose figures are noted.
    """
    specification, promised = cell.specification, cell.metrics["promise"]
    setting, maps = cell.good.setting.by_path(), cell.maps.get(cell.good.maps)
    train = [cell.files[path] for path in cell.good.held_out.paths]
    images = decoded_images(train, specification, threads)
    statistics = [image_statistics(image.pixels, image.size) for image in images]
    probe, pixels = _probe(cell)
    return {
        "format": FORMAT,
        **{name: cell.metrics[name] for name in NAMES},
        **{name: specification[name] for name in SPECIFIED},
        "units": {"score": score_unit(specification["scorer"], len(specification["layers"]))},
        **threshold_entries(setting.scores, setting.groups, maps, promised),
        **_calibration(cell, threads),
        "training_images": photographed(statistics, cell.good.held_out.groups),
        "probe": {
            "png": encode_probe(pixels),
            "score": float(cell.test.scores[probe]),
        },
        "tolerance": score_tolerance(cell.good.held_out.scores),
    }


def _probe(cell: Benchmarked) -> tuple[int, np.ndarray]:
    """The first good test image that covers the canvas, or the first defective one: number, pixels.

    Raises
    ------
    InputError
        If there is none.
    """
    for number in np.argsort(cell.test.labels, kind="stable"):
        image = decoded_image(cell.test_files[number], cell.specification)
        if covers_canvas(image, cell.specification):
            return int(number), image.pixels
    raise InputError(
        "no test image has the proportions of the others, so that nothing can prove a detector"
    )


def _calibration(cell: Benchmarked, threads: int) -> dict[str, Any]:
    """The entry ``calibration`` of a detector whose threshold calibration images set."""
    if not cell.good.calibrated:
        return {}
    digests, statistics = [], []
    calibration = cell.good.calibration
    files = [cell.files[path] for path in calibration.paths]
    for image in decoded_images(files, cell.specification, threads):
        digests.append(hashlib.sha256(image.pixels).hexdigest())
        statistics.append(image_statistics(image.pixels, image.size))
    # copies are not left out: they are one part
    images = photographed(statistics, calibration.groups)
    promised = cell.metrics["promise"]
    return {"calibration": calibration_entry(cell.calibration, promised, 0, digests, images)}
