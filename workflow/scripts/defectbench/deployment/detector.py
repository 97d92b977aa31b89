"""A detector run from its file: it scores images as the benchmark does."""

import threading
import time
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.deployment.isolated_graph import Allowance, IsolatedGraph
from defectbench.deployment.metadata import parse_metadata
from defectbench.deployment.probe import decode_probe
from defectbench.errors import InputError
from defectbench.features.allocator import keep_freed_memory
from defectbench.images.canvas import canvas
from defectbench.images.network_image import Decoded
from defectbench.progress import warn


class Scored(NamedTuple):
    """What a detector says of images.

    Attributes
    ----------
    scores
        float64, (n_images,).
    defective
        bool, (n_images,): whether the score reaches the threshold of the export. Who asks for
        another rate compares the scores with another threshold.
    maps
        float32, (n_images, height, width), or None if the detector does not localize.
    milliseconds
        That it took.
    """

    scores: np.ndarray
    defective: np.ndarray
    maps: np.ndarray | None
    milliseconds: float


class DetectorLostError(InputError):
    """A detector whose process has ended cannot be loaded again."""


class Detector:
    """A detector from its file, which has proved itself on the image it carries.

    Its graph runs in a process of its own, which begins again for the next images if some have
    ended it. Threads may share a detector: it scores for one after the other.

    Parameters
    ----------
    path
        The file.
    threads
        How many the network may use.
    gives_way
        Whether it leaves processors to those who decode the next images meanwhile: a folder is
        done sooner, and a single image later.

    Attributes
    ----------
    metadata
        See `metadata.SHAPE`.
    text
        The metadata as they stand in the file.
    sha256
        Tells detectors apart.

    Raises
    ------
    InputError
        If the file is not a detector, or does not score its probe as when it was exported.
    """

    def __init__(self, path: str | Path, threads: int, *, gives_way: bool = False) -> None:
        self.path, self._threads, self._gives_way = Path(path), threads, gives_way
        self._in_use = threading.Lock()
        keep_freed_memory()  # of images, for the next ones
        self._open()
        if not self._graph.told["is_limited"]:
            warn(f"{path}: this system limits no process's memory: a stranger's can take all of it")

    def score(self, images: np.ndarray) -> Scored:
        """Score images of network size.

        Parameters
        ----------
        images
            uint8, (n_images, height, width, 3), RGB.

        Raises
        ------
        InputError
            If the detector gives no scores.
        DetectorLostError
            If it cannot be loaded again after that, or its file is that of another one.
        """
        with self._in_use:
            if not self._graph.is_running:
                self._reopen()
            start = time.perf_counter()
            try:
                scores, defective, *maps = self._graph.run(images)
            except InputError as error:
                raise InputError(f"{self.path}: {error}") from error
            milliseconds = 1000 * (time.perf_counter() - start)
        return Scored(scores, defective, maps[0] if maps else None, milliseconds)

    def score_image(self, image: Decoded) -> Scored:
        """Score one image; the milliseconds are those from its file on.

        Raises
        ------
        InputError
            As `score` does, naming the image; or if its score or its map is not finite.
        """
        try:
            scored = self.score(image.pixels[None])
        except DetectorLostError:
            raise
        except InputError as error:
            raise InputError(f"{image.path}: not scored by {error}") from error
        if not all(np.isfinite(found).all() for found in scored[:3] if found is not None):
            raise InputError(f"{image.path}: the detector gives no finite score; export it again")
        return scored._replace(milliseconds=image.milliseconds + scored.milliseconds)

    def close(self) -> None:
        """End the process of its graph."""
        self._graph.close()

    def allowance(self) -> Allowance:
        """What it may use to score one image."""
        return self._graph.allowance(prod(canvas(self.metadata["preprocessing"])))

    def threshold_at(self, rate: float | None) -> dict[str, Any]:
        """Threshold for a rate, from `expectations.expectation`; None for the detector's own.

        Raises
        ------
        InputError
            If the detector's table does not have the rate.
        """
        if rate is None:
            return self.metadata["threshold"]
        table = {row["false_positive_rate"]: row for row in self.metadata["thresholds"]}
        if rate not in table:
            known = ", ".join(f"{known:g}" for known in table)
            raise InputError(f"--rate {rate:g}: the detector knows {known}")
        return table[rate]

    def _open(self) -> None:
        """Load the file and refuse it unless it scores its probe as when it was exported."""
        try:
            self._graph = IsolatedGraph(self.path, self._threads, self._gives_way)
            self.sha256, self.text = (self._graph.told[name] for name in ("sha256", "metadata"))
            self.metadata = parse_metadata(self.text)
            self._check_ends()
            self._check_probe()
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def _reopen(self) -> None:
        known = self.sha256
        try:
            self._open()
        except InputError as error:
            raise DetectorLostError(str(error)) from error
        if self.sha256 != known:
            raise DetectorLostError(f"{self.path}: has become another detector; begin again")

    def _check_ends(self) -> None:
        """Refuse a graph whose inputs and outputs are not a detector's."""
        height, width = canvas(self.metadata["preprocessing"])
        inputs = [[name, kind, shape[1:]] for name, kind, shape in self._graph.told["inputs"]]
        outputs = self._graph.told["outputs"]
        expected = [["score", "tensor(double)"], ["defective", "tensor(bool)"]]
        if self.metadata["map_scale"] is not None:
            expected.append(["map", "tensor(float)"])
        if inputs != [["images", "tensor(uint8)", [height, width, 3]]] or outputs != expected:
            raise InputError("not a detector: its inputs or outputs are others")

    def _check_probe(self) -> None:
        """Refuse to work unless the probe scores as it did at export."""
        expected = self.metadata["probe"]["score"]
        image = decode_probe(self.metadata["probe"]["png"], canvas(self.metadata["preprocessing"]))
        (score,), *_ = self._graph.run(image[None])
        if not abs(score - expected) <= allowed_deviation(expected, self.metadata["tolerance"]):
            raise InputError(
                f"does not score its probe image as when it was exported: {score:.9g} and not "
                f"{expected:.9g}; do not use it on this machine, export it again"
            )


def allowed_deviation(score: Any, tolerance: dict[str, float]) -> Any:
    """How far a score may lie from `score` and count as the same."""
    return tolerance["absolute"] + tolerance["relative"] * np.abs(score)
