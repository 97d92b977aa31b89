"""A folder of new images scored: a line per image as soon as it is known, a summary at the end."""

import csv
import io
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.deployment.detector import (
    Decoded,
    Detector,
    Unreadable,
    decoded_images,
    milliseconds_since,
)
from defectbench.deployment.drift import ImageStatistics, image_statistics, same_world
from defectbench.deployment.overlays import map_strength, write_overlay
from defectbench.errors import InputError
from defectbench.images.layout import is_image
from defectbench.images.resizing import CROP, SQUASH
from defectbench.progress import Progress

SCORES, SUMMARY, OVERLAYS = "scores.csv", "summary.json", "overlays"
COLUMNS = ("path", "score", "threshold", "verdict", "share_of_good_below", "milliseconds")
NAMES = ("dataset", "category", "method", "backbone")
VERDICTS = ("good", "defective")
WATCH_SECONDS = 1.0


class Options(NamedTuple):
    """How a folder is scored.

    Attributes
    ----------
    images
        The folder, with all its subfolders.
    output
        Folder of `SCORES`, `SUMMARY` and `OVERLAYS`.
    threshold, rate
        Scores from `threshold` on are defective; `rate` of the good ones were to be.
    overlays
        ``none``, ``defective`` or ``all``.
    skip_scored
        Whether lines of an earlier run stay, and their images are left alone.
    threads
        That decode images.
    """

    images: Path
    output: Path
    threshold: float
    rate: float
    overlays: str
    skip_scored: bool
    threads: int


def images_below(folder: Path) -> list[Path]:
    """Images of a folder and of its subfolders, sorted, without hidden ones."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if is_image(path) and path.is_file() and not path.name.startswith(".")
    ]


class FolderScoring:
    """Images of a folder scored by a detector.

    Parameters
    ----------
    detector
        Loaded.
    options
        How.

    Raises
    ------
    InputError
        If the folder is not there, or earlier scores are another detector's.
    """

    def __init__(self, detector: Detector, options: Options) -> None:
        if not options.images.is_dir():
            raise InputError(f"{options.images}: no such folder of images")
        if options.overlays != "none" and detector.metadata["map_scale"] is None:
            scorer = detector.metadata["scorer"]
            raise InputError(f"{scorer} scores whole images: there is no map to draw")
        self.detector, self.options = detector, options
        self.held_out = np.asarray(detector.metadata["held_out_scores"])
        self.scores: list[float] = []
        self.statistics: list[ImageStatistics] = []
        self.unreadable: list[Unreadable] = []
        self.stopped = False  # set it, and scoring and watching end with the images at hand
        options.output.mkdir(parents=True, exist_ok=True)
        self._started = time.perf_counter()
        self._done = self._begin_scores()

    def new_images(self) -> list[Path]:
        """Images that have not been scored, sorted."""
        ours = self.options.output.resolve()
        return [
            path
            for path in images_below(self.options.images)
            if self._name(path) not in self._done and ours not in path.resolve().parents
        ]

    def score(self, files: list[Path]) -> None:
        """Score files; each gets its line at once."""
        progress = Progress(len(files), str(self.options.images))
        metadata = self.detector.metadata
        preprocessing, bits = metadata["preprocessing"], metadata["bits"]
        wanted = itertools.takewhile(lambda _: not self.stopped, files)
        for image in decoded_images(wanted, preprocessing, self.options.threads, bits):
            self._done.add(self._name(image.path))
            self._overlay(image.path).unlink(missing_ok=True)  # of what the image was before
            if isinstance(image, Unreadable):
                self.unreadable.append(image)
            else:
                self._score_one(image)
            progress.advance(1)

    def summary(self) -> dict[str, Any]:
        """What was found, also written to `SUMMARY`."""
        options, metadata = self.options, self.detector.metadata
        summary = {
            "detector_sha256": self.detector.sha256,
            "detector": "/".join(metadata[name] for name in NAMES),
            "images": len(self.scores),
            "defective": sum(score >= options.threshold for score in self.scores),
            "unreadable": [self._name(image.path) for image in self.unreadable],
            "threshold": options.threshold,
            "seconds": round(time.perf_counter() - self._started, 2),
        }
        if self.scores:
            summary["same_world"] = same_world(
                self.scores,
                options.threshold,
                options.rate,
                self.held_out,
                self.statistics,
                metadata["training_images"],
            )
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (options.output / SUMMARY).write_text(text + "\n", encoding="utf-8")
        return summary

    def _score_one(self, image: Decoded) -> None:
        start = time.perf_counter()
        scored = self.detector.score(image.pixels[None])
        score = float(scored.scores[0])
        milliseconds = image.milliseconds + milliseconds_since(start)
        defective = score >= self.options.threshold
        share = np.searchsorted(self.held_out, score, "left") / len(self.held_out)
        name = self._name(image.path)
        self._append(
            name,
            repr(score),
            repr(self.options.threshold),
            VERDICTS[defective],
            f"{share:.4f}",
            f"{milliseconds:.1f}",
        )
        self.scores.append(score)
        self.statistics.append(image_statistics(image.pixels, image.size))
        if self.options.overlays == "all" or (self.options.overlays == "defective" and defective):
            preprocessing = self.detector.metadata["preprocessing"]
            aspect = preprocessing.get("aspect", SQUASH)
            cropped = "crop" in preprocessing or aspect == CROP
            size = image.pixels.shape[:2] if cropped else image.size
            strength = map_strength(scored.maps[0], self.detector.metadata["map_scale"])
            write_overlay(image.pixels, strength, size, self._overlay(image.path), aspect)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.options.images).as_posix()

    def _overlay(self, path: Path) -> Path:
        return self.options.output / OVERLAYS / f"{self._name(path)}.jpg"

    def _append(self, *cells: str) -> None:
        with open(self.options.output / SCORES, "a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow(cells)

    def _begin_scores(self) -> set[str]:
        """A table with its header; names of the images that stay in it."""
        path = self.options.output / SCORES
        rows = earlier_rows(path)
        if self.options.skip_scored and path.is_file():
            self._check_same_detector()
            rows = rows_that_hold(rows, path, self.options)
            path.unlink()
            for cells in (COLUMNS, *(row.values() for row in rows)):
                self._append(*cells)
            return {row["path"] for row in rows}
        remove_overlays(self.options.output / OVERLAYS, {row.get("path", "") for row in rows})
        path.unlink(missing_ok=True)
        self._append(*COLUMNS)
        self._remember_detector()
        return set()

    def _remember_detector(self) -> None:
        text = json.dumps({"detector_sha256": self.detector.sha256}, indent=2) + "\n"
        (self.options.output / SUMMARY).write_text(text, encoding="utf-8")

    def _check_same_detector(self) -> None:
        path = self.options.output / SUMMARY
        try:
            known = json.loads(path.read_text(encoding="utf-8"))["detector_sha256"]
        except (OSError, ValueError, KeyError):
            known = None
        if known != self.detector.sha256:
            raise InputError(
                f"{self.options.output / SCORES}: scored by another detector; score into another "
                "folder, or without --skip-scored"
            )


def earlier_rows(table: Path) -> list[dict[str, str]]:
    """Rows of an earlier run's table, if there is one."""
    text = table.read_bytes().decode(errors="replace") if table.is_file() else ""
    whole = text[: text.rfind("\n") + 1]  # a run that was killed may leave half a line
    return list(csv.DictReader(io.StringIO(whole)))


def rows_that_hold(
    rows: Sequence[dict[str, str]], table: Path, options: Options
) -> list[dict[str, str]]:
    """Rows of an earlier table but those of images that were written after it.

    The row of an image that is no longer there stays: it says what was found.

    Raises
    ------
    InputError
        If the table was made at another threshold.
    """
    others = [row["threshold"] for row in rows if row["threshold"] != repr(options.threshold)]
    if others:
        raise InputError(
            f"{table}: scored at the threshold {others[0]}; score into another folder, or without "
            "--skip-scored"
        )
    scored = table.stat().st_mtime_ns
    return [row for row in rows if _last_change(options.images / row["path"]) <= scored]


def _last_change(file: Path) -> int:
    """When a file was written or put in its place (ns); 0 for none."""
    try:
        status = file.stat()
    except OSError:
        return 0
    return max(status.st_mtime_ns, status.st_ctime_ns)


def remove_overlays(folder: Path, names: set[str]) -> None:
    """Remove the overlays of these images, and nothing else that lies there."""
    for path in folder.rglob("*.jpg"):
        if path.relative_to(folder).as_posix().removesuffix(".jpg") in names:
            path.unlink()


def settled_images(scoring: FolderScoring, seconds: float = WATCH_SECONDS) -> Iterator[list[Path]]:
    """New images of a folder that fills, until stopped; each once its size has not changed."""
    seen: dict[Path, tuple[int, int]] = {}
    while not scoring.stopped:
        now = {}
        for path in scoring.new_images():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            now[path] = (status.st_size, status.st_mtime_ns)
        yield [path for path, state in now.items() if seen.get(path) == state]
        seen = now
        time.sleep(seconds)
