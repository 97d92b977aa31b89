"""A folder of new images scored: a row for each as soon as it is known, a summary at the end."""

import contextlib
import functools
import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from defectbench.deployment.detector import Detector, Scored
from defectbench.deployment.events import EventQueue
from defectbench.deployment.overlays import draw_overlay, overlay_file, remove_overlays
from defectbench.deployment.reading import Read, read_files
from defectbench.deployment.summary import Found, described, write_summary
from defectbench.errors import InputError
from defectbench.images.layout import images_below
from defectbench.images.network_image import Decoded
from defectbench.names import in_table
from defectbench.progress import Progress
from defectbench.score_table import (
    COLUMNS,
    DEFECTIVE,
    UNREADABLE,
    VERDICTS,
    Row,
    ScoreTable,
    check_no_rows,
    known_contents,
    read_rows,
)

DIGITS = 16
"""Hexadecimal digits of a detector's digest in a row."""


class Options(NamedTuple):
    """How a folder is scored.

    Attributes
    ----------
    images
        The folder, with all its subfolders.
    output
        Folder of the tables, summaries and overlays.
    threads
        That decode images.
    rate
        Share of good images that may be called defective, one of the detector's table; None for
        the one of the export.
    overlays
        ``none``, ``defective`` or ``all``.
    skip_scored
        Whether to go on with the rows of earlier runs and leave out images that they know.
    overwrite
        Whether rows of earlier runs are removed; they are in the way if neither is set.
    rotate
        When a table is full, as for `ScoreTable`.
    """

    images: Path
    output: Path
    threads: int
    rate: float | None = None
    overlays: str = "none"
    skip_scored: bool = False
    overwrite: bool = False
    rotate: str | int | None = None


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
        or earlier scores are another detector's or in the way.
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
        self.events: EventQueue | None = None  # gets one for each defective image
        self.held_out = np.asarray(detector.metadata["held_out_scores"])
        self.stopped = False  # set it, and scoring ends with the images at hand
        self.table = ScoreTable(options.output, options.rotate)
        self.known: dict[str, str] = {}  # by name, digest of the content in its last row
        if options.skip_scored:
            self.known = known_contents(options.output, detector.sha256[:DIGITS], self.threshold)
        elif not options.overwrite:
            check_no_rows(options.output)
        self._begun = False
        self.found = Found(detector, self.expectation)

    def images(self) -> list[Path]:
        """Images of the folder, sorted."""
        output = self.options.output.resolve()

        @functools.cache
        def is_ours(folder: Path) -> bool:
            resolved = folder.resolve()
            return output in (resolved, *resolved.parents)

        return [path for path in images_below(self.options.images) if not is_ours(path.parent)]

    def score(self, files: list[Path]) -> None:
        """Read and score files once. Before the first one that is not known nothing is written."""
        progress = Progress(len(files), str(self.options.images))
        for read in self.read(files):
            self.record(read)
            progress.advance(1)

    def read(self, files: Iterable[Path]) -> Iterator[Read]:
        """Files read and scored in threads, in their order, until `stopped`."""
        wanted = itertools.takewhile(lambda _: not self.stopped, files)
        return read_files(
            wanted,
            self.detector,
            self.options.threads,
            known=lambda path: self.known.get(self.name(path)),
        )

    def record(self, read: Read) -> Row | None:
        """Write the row of what was read; None of what is known already."""
        if read.found is None:
            return None
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._prepare_table(now)
        name = self.name(read.path)
        overlay_file(self.options.output, name).unlink(missing_ok=True)  # of an earlier image
        row = dict.fromkeys(COLUMNS, "") | {
            "path": name,
            "threshold": repr(self.threshold),
            "verdict": UNREADABLE,
            "time": now,
            "sha256": read.sha256,
            "detector": self.detector.sha256[:DIGITS],
        }
        if not isinstance(read.found, InputError):
            row |= self._scored(name, *read.found)
        of_defect = contextlib.nullcontext()
        if self.events is not None and row["verdict"] == DEFECTIVE:
            of_defect = self.events.announced(row, self.detector.sha256)
        with of_defect:
            self.table.append(row)
        self.known[name] = read.sha256
        if isinstance(read.found, InputError):
            self.found.add_unreadable(name, str(read.found))
        else:
            self.found.add(float(row["score"]), read.found[0])
        return row

    def _scored(self, name: str, image: Decoded, scored: Scored) -> Row:
        """What a row says of an image that was scored; draws its overlay if one is wanted."""
        score = float(scored.scores[0])
        defective = score >= self.threshold
        if self.options.overlays == "all" or (self.options.overlays == "defective" and defective):
            draw_overlay(self.detector, image, scored.maps[0], self.options.output, name)
        share = np.searchsorted(self.held_out, score, "left") / len(self.held_out)
        return {
            "score": repr(score),
            "verdict": VERDICTS[defective],
            "share_of_good_below": f"{share:.4f}",
            "milliseconds": f"{scored.milliseconds:.1f}",
        }

    def summary(self) -> dict[str, Any]:
        """What was found in the images of the table that this run has scored, also written."""
        summary = self.found.summary()
        write_summary(self.options.output, summary)
        return summary

    def name(self, path: Path) -> str:
        """Of an image in the table."""
        return in_table(path.relative_to(self.options.images).as_posix())

    def _prepare_table(self, now: str) -> None:
        """Begin a table, go on with one, or close a full one and begin the next."""
        is_first, self._begun = not self._begun, True
        if is_first:
            self.options.output.mkdir(parents=True, exist_ok=True)
            if self.options.overwrite:
                earlier = {row["path"] for row in read_rows(self.options.output)}
                remove_overlays(self.options.output, earlier)
                self.table.clear()
            self.table.cut_unfinished_row()
        if is_full := self.table.is_full(now):
            if self.found:  # else the summary is that of the run before
                self.summary()
            self.table.rotate()
            self.found = Found(self.detector, self.expectation)
        if is_first or is_full:  # all that there is of a summary, should the run be killed
            write_summary(self.options.output, described(self.detector))
