"""Tables of scored images: a row for each verdict, on the disk before the next one is made."""

import contextlib
import csv
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from defectbench.errors import InputError
from defectbench.locks import lock
from defectbench.names import printable

SCORES, SUMMARY = "scores.csv", "summary.json"
COLUMNS = (
    *("path", "score", "threshold", "verdict", "share_of_good_below", "milliseconds"),
    *("time", "sha256", "detector"),
)
HEADER = ",".join(COLUMNS) + "\n"
GOOD, DEFECTIVE, UNREADABLE = VERDICTS = ("good", "defective", "unreadable")

DAY = "day"
"""Rotates a table when the date changes; a whole number, when it has so many bytes."""

ROTATED = re.compile(r"scores_(\d{4}-\d\d-\d\d)(?:_(\d+))?\.csv")

ANOTHER = "name another output, or move this file away"

Row = dict[str, str]


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other runs from writing into a folder, which is made; a run that is killed lets go.

    Where there are no locks, another run is not noticed. A folder into which nothing is written
    does not stay.

    Raises
    ------
    InputError
        If another run writes into it, or a file is in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: a file is in the way of this folder; name another") from None
    place = folder / ".lock"
    with open(place, "a") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another run writes there; end that one, or name another output"
            ) from error
        try:
            yield
        finally:
            if [*folder.iterdir()] == [place]:
                place.unlink()
                folder.rmdir()


class ScoreTable:
    """``scores.csv`` of a folder, and those that it became by rotation, ``scores_2026-11-30.csv``.

    Parameters
    ----------
    folder
        Of the tables.
    rotate
        `DAY`, or bytes from which on a table is full; None for one table.

    Attributes
    ----------
    file
        The table that is written.
    """

    def __init__(self, folder: Path, rotate: str | int | None = None) -> None:
        self.file, self._rotate = folder / SCORES, rotate
        self._date = ""  # of the last row of the table
        if rotate is not None and self.file.is_file():
            for row in _rows(self.file):
                self._date = row["time"][:10]

    def clear(self) -> None:
        """Remove the tables of earlier runs and their summaries."""
        for table in table_files(self.file.parent):
            _summary_of(table).unlink(missing_ok=True)
            table.unlink()
        self._date = ""

    def cut_unfinished_row(self) -> None:
        """Remove what a killed run left after the last whole row.

        Raises
        ------
        InputError
            If no run of this program can have left it.
        """
        if self.file.is_file():
            content = self.file.read_bytes()
            whole = content.rfind(b"\n") + 1
            _check_unfinished(content[whole:].decode(errors="replace"), whole == 0, self.file)
            if whole:
                os.truncate(self.file, whole)
            else:
                self.file.unlink()

    def is_full(self, time: str) -> bool:
        """Whether a row of this time (ISO 8601) belongs into a new table."""
        if not (self._date and self.file.is_file()):
            return False
        if self._rotate == DAY:
            return time[:10] != self._date
        return self._rotate is not None and self.file.stat().st_size >= self._rotate

    def rotate(self) -> None:
        """Call table and summary by the date of the last row: the next row begins a new table."""
        taken = {file.name for file in table_files(self.file.parent)}
        name, number = f"scores_{self._date}.csv", 1
        while name in taken:
            number += 1
            name = f"scores_{self._date}_{number}.csv"
        closed = self.file.with_name(name)
        if _summary_of(self.file).is_file():
            _summary_of(self.file).replace(_summary_of(closed))
        self.file.replace(closed)
        self._date = ""

    def append(self, row: Row) -> None:
        """Write a row through to the disk."""
        is_new = not self.file.is_file()
        with open(self.file, "a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
            stream.flush()
            os.fsync(stream.fileno())
        self._date = row["time"][:10]


def table_files(folder: Path) -> list[Path]:
    """Tables of a folder, the oldest first."""
    found = [(match, file) for file in folder.glob("scores_*.csv") if (match := _rotated(file))]
    found.sort(key=lambda pair: (pair[0][1], int(pair[0][2] or 1)))
    current = folder / SCORES
    return [*(file for _, file in found), *([current] if current.is_file() else [])]


def _rotated(file: Path) -> re.Match[str] | None:
    return ROTATED.fullmatch(file.name)


def _summary_of(table: Path) -> Path:
    """The summary beside a table: ``summary_2026-11-30.json`` of ``scores_2026-11-30.csv``."""
    return table.with_name(table.name.replace("scores", "summary")).with_suffix(".json")


def read_rows(folder: Path) -> Iterator[Row]:
    """Rows of all tables of a folder, the oldest first; one that a killed run left half is none.

    Raises
    ------
    InputError
        If a table has other columns, or holds what this program does not write.
    """
    for table in table_files(folder):
        yield from _rows(table)


def _rows(table: Path) -> Iterator[Row]:
    with open(table, encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(_whole_lines(stream, table))
        try:
            if rows.fieldnames is not None and tuple(rows.fieldnames) != COLUMNS:
                raise InputError(
                    f"{table}: its columns are not {', '.join(COLUMNS)}: another version or "
                    "program wrote it; score into another folder, or remove it"
                )
            for row in rows:
                if None not in row.values():
                    _check_path(row["path"], table)
                    yield row
        except csv.Error as error:
            raise InputError(f"{table}: cannot be read ({error}); {ANOTHER}") from error


def _whole_lines(stream: Iterable[str], table: Path) -> Iterator[str]:
    for number, line in enumerate(stream):
        if line.endswith("\n"):
            yield line
        else:
            _check_unfinished(line, number == 0, table)


def _check_unfinished(line: str, is_first: bool, table: Path) -> None:
    """Refuse a line without an end that no run can have left that was killed while it wrote it."""
    if "\r" in line or (is_first and not HEADER.startswith(line)):
        raise InputError(f"{table}: holds what is no table of this program; {ANOTHER}")


def _check_path(path: str, table: Path) -> None:
    """Refuse a path that cannot be one below a folder of images: by it overlays are removed."""
    if "\0" in path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise InputError(f"{table}: has a row of {printable(path)!r}, no image's path; {ANOTHER}")


def check_no_rows(folder: Path) -> None:
    """Refuse a folder that holds rows of an earlier run."""
    if next(read_rows(folder), None) is not None:
        raise InputError(
            f"{folder / SCORES}: holds rows of an earlier run; --skip-scored goes on with them, "
            "--overwrite removes them, or name another output"
        )


def known_contents(folder: Path, detector: str, threshold: float) -> dict[str, str]:
    """SHA-256 of the content in the last row of each path, to go on with the tables of a folder.

    Parameters and errors are those of `check_made_alike`.
    """
    known = {}
    for row in read_rows(folder):
        check_made_alike(row, folder / SCORES, detector, threshold)
        known[row["path"]] = row["sha256"]
    return known


def check_made_alike(row: Row, table: Path, detector: str, threshold: float) -> None:
    """Refuse to go on with a row of another detector or threshold.

    Parameters
    ----------
    row
        Of an earlier run.
    table
        What to name.
    detector
        Digest of the detector that is to go on, as in the row.
    threshold
        Its threshold. A program that has saved the table may have rounded it to 15 digits.
    """
    how = ""
    if row["detector"] != detector:
        how = "by another detector"
    elif not math.isclose(_number(row["threshold"]), threshold, rel_tol=1e-12):
        how = f"at the threshold {row['threshold']}"
    if how:
        raise InputError(f"{table}: scored {how}; score into another folder, or --overwrite it")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
