"""A folder of new images scored: a line per image as soon as it is known, a summary at the end."""

import csv
import io
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from defectbench.deployment.detector import AHEAD, Decoded, Detector, whole_image
from defectbench.deployment.detector_file import NAMES
from defectbench.deployment.drift import same_world
from defectbench.deployment.photographs import ImageStatistics, image_statistics
from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.decoding import in_order, load_rgb
from defectbench.images.layout import images_below
from defectbench.progress import Progress
from defectbench.reports.map_panels import draw_panels

SCORES, SUMMARY, OVERLAYS = "scores.csv", "summary.json", "overlays"
COLUMNS = ("path", "score", "threshold", "verdict", "share_of_good_below", "milliseconds")
VERDICTS = ("good", "defective")
LARGEST_PANEL = 1024
WATCH_SECONDS = 1.0


class Options(NamedTuple):
    """How a folder is scored.

    Attributes
    ----------
    images
        The folder, with all its subfolders.
    output
        Folder of `SCORES`, `SUMMARY` and `OVERLAYS`.
    threads
        That decode images.
    rate
        Share of good images that may be called defective, one of the detector's table; None for
        the one of the export.
    overlays
        ``none``, ``defective`` or ``all``.
    skip_scored
        Whether lines of an earlier run stay, and their images are left alone.
    """

    images: Path
    output: Path
    threads: int
    rate: float | None = None
    overlays: str = "none"
    skip_scored: bool = False


class FolderScoring:
    """Images of a folder scored by a detector.

    An image is defective if its score reaches the threshold of the rate that was asked for. The
    graph's own verdict is the same rule at the threshold of the export, and is not looked at.

    Parameters
    ----------
    detector
        Loaded.
    options
        How.

    Raises
    ------
    InputError
        If the folder is not there, the detector does not know the rate or cannot draw overlays,
        or earlier scores are another detector's.
    """

    def __init__(self, detector: Detector, options: Options) -> None:
        if not options.images.is_dir():
            raise InputError(f"{options.images}: no such folder of images")
        if options.overlays != "none" and detector.metadata["map_scale"] is None:
            scorer = detector.metadata["scorer"]
            raise InputError(f"{scorer} scores whole images: there is no map to draw")
        self.expectation = detector.threshold_at(options.rate)
        self.threshold = self.expectation["value"]
        self.detector, self.options = detector, options
        self.held_out = np.asarray(detector.metadata["held_out_scores"])
        self.scores: list[float] = []
        self.statistics: list[ImageStatistics] = []
        self.unreadable: dict[str, str] = {}  # by name, why
        self.stopped = False  # set it, and scoring and watching end with the images at hand
        self._started = time.perf_counter()
        self._table = options.output / SCORES
        self._earlier = earlier_rows(self._table)
        self.left = self._rows_that_stay()  # of an earlier run
        self._done = {row["path"] for row in self.left}
        self._begun = False

    def new_images(self) -> list[Path]:
        """Images that have not been scored, sorted."""
        ours = os.path.join(os.path.realpath(self.options.output), "")
        found = images_below(self.options.images)
        new = [path for path in found if self._name(path) not in self._done]
        return [path for path in new if not os.path.realpath(path).startswith(ours)]

    def score(self, files: list[Path]) -> None:
        """Score files; each gets its line at once. Before the first call nothing is written."""
        self._begin()
        progress = Progress(len(files), str(self.options.images))
        wanted = itertools.takewhile(lambda _: not self.stopped, files)
        threads = self.options.threads
        for path, image in in_order(self._decoded, wanted, threads, AHEAD * threads):
            name = self._name(path)
            self._done.add(name)
            self._overlay(name).unlink(missing_ok=True)  # of an earlier image
            try:
                if isinstance(image, InputError):
                    raise image
                self._score_one(name, image)
            except InputError as error:  # also if it is gone before its overlay could be drawn
                self.unreadable[name] = str(error)
            progress.advance(1)

    def summary(self) -> dict[str, Any]:
        """What was found in the images that were scored, also written to `SUMMARY`."""
        defective = sum(score >= self.threshold for score in self.scores)
        summary = {
            **described(self.detector),
            "images": len(self.scores),
            "defective": defective,
            "unreadable": list(self.unreadable),
            "threshold": self.threshold,
            "seconds": round(time.perf_counter() - self._started, 2),
        }
        if self.scores:
            seen = self.scores, self.expectation, self.statistics
            summary["same_world"] = same_world(*seen, self.detector.metadata)
        self._write_summary(summary)
        return summary

    def _decoded(self, path: Path) -> tuple[Path, Decoded | InputError]:
        """An image, or why there is none: an error that a thread raises would end the others."""
        try:
            return path, whole_image(path, self.detector.metadata)
        except InputError as error:
            return path, error

    def _score_one(self, name: str, image: Decoded) -> None:
        start = time.perf_counter()
        scored = self.detector.score(image.pixels[None])
        milliseconds = image.milliseconds + 1000 * (time.perf_counter() - start)
        score = float(scored.scores[0])
        defective = score >= self.threshold
        if self.options.overlays == "all" or (self.options.overlays == "defective" and defective):
            path = self._overlay(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            panels = map_picture(self.detector, image, scored.maps[0], LARGEST_PANEL)
            panels.save(path, "JPEG", quality=85)
        share = np.searchsorted(self.held_out, score, "left") / len(self.held_out)
        digits = repr(score), repr(self.threshold)
        self._append([name, *digits, VERDICTS[defective], f"{share:.4f}", f"{milliseconds:.1f}"])
        self.scores.append(score)
        self.statistics.append(image_statistics(image.pixels, image.size))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.options.images).as_posix()

    def _overlay(self, name: str) -> Path:
        return self.options.output / OVERLAYS / f"{name}.jpg"

    def _rows_that_stay(self) -> list[dict[str, str]]:
        """Of an earlier table, the rows of images that are not scored again."""
        if not (self.options.skip_scored and self._table.is_file()):
            return []
        check_made_alike(self._table, self._earlier, self.detector.sha256, self.threshold)
        return rows_that_hold(self._earlier, self._table, self.options.images)

    def _begin(self) -> None:
        """Begin the table, or go on with it."""
        if self._begun:
            return
        self._begun = True
        self.options.output.mkdir(parents=True, exist_ok=True)
        gone = {row.get("path", "") for row in self._earlier} - self._done
        remove_overlays(self.options.output / OVERLAYS, gone)
        self._table.unlink(missing_ok=True)
        self._append(COLUMNS, *(row.values() for row in self.left))
        self._write_summary({"detector_sha256": self.detector.sha256})  # should the run be killed

    def _append(self, *rows: Iterable[Any]) -> None:
        with open(self._table, "a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)

    def _write_summary(self, summary: dict[str, Any]) -> None:
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self.options.output / SUMMARY).write_text(text + "\n", encoding="utf-8")


def described(detector: Detector) -> dict[str, str]:
    """Which detector it is, and the images that its threshold comes from."""
    metadata = detector.metadata
    behind = f"{len(metadata['held_out_scores'])} held-out good images"
    if calibration := metadata.get("calibration"):
        counts = f"{calibration['parts']} good parts ({calibration['images']} images)"
        behind = f"a calibration on {counts} in {calibration['folder']}"
    return {
        "detector_sha256": detector.sha256,
        "detector": "/".join(metadata[name] for name in NAMES),
        "threshold_from": behind,
    }


def earlier_rows(table: Path) -> list[dict[str, str]]:
    """Rows of an earlier run's table, if there is one."""
    text = table.read_bytes().decode(errors="replace") if table.is_file() else ""
    whole = text[: text.rfind("\n") + 1]  # a run that was killed may leave half a line
    return list(csv.DictReader(io.StringIO(whole)))


def check_made_alike(
    table: Path, rows: Sequence[dict[str, str]], sha256: str, threshold: float
) -> None:
    """Refuse to go on with a table of another detector or threshold."""
    try:
        summary = json.loads((table.parent / SUMMARY).read_text(encoding="utf-8"))
        same = summary["detector_sha256"] == sha256
    except (OSError, ValueError, KeyError):
        same = False
    others = {row.get("threshold") for row in rows} - {repr(threshold)}
    if others or not same:
        how = f"at the threshold {others.pop()}" if same else "by another detector"
        raise InputError(
            f"{table}: scored {how}; score into another folder, or without --skip-scored"
        )


def rows_that_hold(
    rows: Sequence[dict[str, str]], table: Path, images: Path
) -> list[dict[str, str]]:
    """Rows of an earlier table but those of images that were written after it.

    The row of an image that is no longer there stays: it says what was found.
    """
    scored = table.stat().st_mtime_ns
    return [row for row in rows if _last_change(images / row["path"])[0] <= scored]


def _last_change(file: Path) -> tuple[int, int]:
    """When a file was written or put in its place (ns), and its size; zeros for none."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    # a copy may keep the time at which its original was written
    return max(status.st_mtime_ns, status.st_ctime_ns), status.st_size


def remove_overlays(folder: Path, names: set[str]) -> None:
    """Remove the overlays of these images, and nothing else that lies there."""
    for path in folder.rglob("*.jpg"):
        if path.relative_to(folder).as_posix().removesuffix(".jpg") in names:
            path.unlink()


def map_picture(
    detector: Detector, image: Decoded, anomaly_map: np.ndarray, largest: int
) -> Image.Image:
    """An image, its map and its marked part side by side, as in the benchmark's pictures.

    Parameters
    ----------
    image, anomaly_map
        As decoded for the detector, and what the detector made of it.
    largest
        Longer side of one panel in pixels, at most; no image is enlarged.
    """
    preprocessing = detector.metadata["preprocessing"]
    if "crop" in preprocessing:  # the map is of a part: show what the network saw
        photo = Image.fromarray(image.pixels)
    else:
        photo = load_rgb(image.path, detector.metadata["bits"])
    scale = MapScale(**detector.metadata["map_scale"])
    side = min(largest, max(photo.size))
    return draw_panels(photo, anomaly_map, None, scale, preprocessing, side)


def settled_images(scoring: FolderScoring, seconds: float = WATCH_SECONDS) -> Iterator[list[Path]]:
    """New images of a folder that fills, until stopped; each once its size has not changed."""
    seen: dict[Path, tuple[int, int]] = {}
    while not scoring.stopped:
        now = {path: _last_change(path) for path in scoring.new_images()}
        yield [path for path, state in now.items() if seen.get(path) == state]
        seen = now
        time.sleep(seconds)
