"""Score a folder of images with an exported detector; needs onnxruntime, NumPy and Pillow alone."""

import argparse
import contextlib
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defectbench.deployment.command_line import parse_with_threads
from defectbench.deployment.detector import Detector
from defectbench.deployment.events import EventQueue
from defectbench.deployment.folder import FolderScoring, Options
from defectbench.deployment.receivers import by_command, by_post
from defectbench.deployment.watching import GIVE_UP_SECONDS, Arrivals, watch
from defectbench.errors import InputError, exit_status
from defectbench.images.layout import KINDS
from defectbench.score_table import DAY, UNREADABLE, Row, only_writer

UNREADABLE_EXIT, STOPPED_EXIT = 1, 130
ONCE_MENDED = "mend that, then go on with --skip-scored or --watch"


def main() -> int:
    """Score; exit status 0, 1 if images were unreadable, 2 if it could not go on, 130 if stopped.

    To stop is how watching ends, and no exit status of its own.
    """
    arguments = parsed_arguments()
    return exit_status(lambda: scored(arguments), ONCE_MENDED, str(arguments.output))


def scored(arguments: argparse.Namespace) -> int:
    """Load the detector and let it score; exit status as of `main`."""
    detector = Detector(arguments.detector, arguments.threads, gives_way=not arguments.watch)
    with only_writer(arguments.output):
        options = {name: getattr(arguments, name) for name in Options._fields}
        scoring = FolderScoring(detector, Options(**options))
        with told_of_defects(arguments, scoring):
            return score(scoring, arguments)


def parsed_arguments() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, help="detector.onnx, as the workflow exported it")
    parser.add_argument("images", type=Path, help="folder of images, with all its subfolders")
    parser.add_argument(
        "--output", type=Path, default=Path("scores"), help="folder of scores.csv; default: scores"
    )
    parser.add_argument(
        "--rate",
        type=float,
        help="share of good parts that may be called defective, one of those in the detector's "
        "table; default: the one that was asked for at export",
    )
    parser.add_argument(
        "--overlays",
        choices=("none", "defective", "all"),
        default="none",
        help="images whose map is drawn (default: none)",
    )
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument(
        "--skip-scored",
        action="store_true",
        help="go on with scores.csv of an earlier run: leave out the images that it holds",
    )
    earlier.add_argument(
        "--overwrite", action="store_true", help="remove what an earlier run found"
    )
    parser.add_argument(
        "--rotate",
        type=rotation,
        metavar="day|MEGABYTES",
        help="when scores.csv is called by its date and a new one begun; default: never",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="wait for further images until Ctrl-C or SIGTERM; goes on with scores.csv",
    )
    parser.add_argument(
        "--give-up",
        type=float,
        default=GIVE_UP_SECONDS,
        metavar="SECONDS",
        help="with --watch: a file that cannot be read so long after its last change is written "
        "down as unreadable (default: %(default)g)",
    )
    receiver = parser.add_mutually_exclusive_group()
    receiver.add_argument(
        "--on-defective", metavar="URL", help="where each defective image is posted as JSON"
    )
    receiver.add_argument(
        "--command", help="program that is run for each defective image, with JSON as its input"
    )
    parser.add_argument(
        "--header-variable",
        metavar="NAME",
        help="environment variable with a header for --on-defective, such as one with a token",
    )
    arguments = parse_with_threads(parser)
    if arguments.header_variable and not arguments.on_defective:
        parser.error("--header-variable belongs to --on-defective")
    if not arguments.give_up >= 0:
        parser.error("--give-up: at least 0")
    arguments.skip_scored |= arguments.watch and not arguments.overwrite
    return arguments


def rotation(text: str) -> str | int:
    """What `--rotate` says: `DAY`, or bytes."""
    if text == DAY:
        return DAY
    size = 1e6 * float(text)
    if not 1 <= size < math.inf:
        raise ValueError(text)
    return int(size)


@contextlib.contextmanager
def told_of_defects(arguments: argparse.Namespace, scoring: FolderScoring) -> Iterator[None]:
    """Give the scoring a queue of events for whoever is to be told, if anyone is."""
    if arguments.on_defective:
        send, receiver = by_post(arguments.on_defective, arguments.header_variable)
    elif arguments.command:
        send, receiver = by_command(arguments.command)
    else:
        yield
        return
    scoring.events = EventQueue(arguments.output, send, receiver, scoring.known)
    try:
        yield
    finally:
        scoring.events.close()


def score(scoring: FolderScoring, arguments: argparse.Namespace) -> int:
    """Score what is there, or what comes; the exit status."""
    with stopped_by_signals(scoring):
        if arguments.watch:
            print(f"watching {arguments.images}; Ctrl-C ends it", file=sys.stderr)
            watch(scoring, Arrivals(arguments.give_up), lambda row: print_verdict(scoring, row))
        else:
            files = scoring.images()
            if not (files or scoring.known):
                raise InputError(f"{arguments.images}: no {KINDS} files in this folder")
            scoring.score(files)
    unreadable, table = scoring.found.unreadable, scoring.table.file
    if not scoring.found:
        print(f"no new images in {arguments.images}: {arguments.output} is left as it was")
    else:
        print_summary(scoring.summary(), table)
    if not arguments.watch:
        for reason in unreadable.values():
            print(f"unreadable: {reason}", file=sys.stderr)
        if scoring.stopped:
            print("stopped before the end; --skip-scored goes on", file=sys.stderr)
            return STOPPED_EXIT
    if unreadable:
        print(
            f"exit status {UNREADABLE_EXIT}: images that could not be read: {len(unreadable)}, "
            f"which are {UNREADABLE!r} in {table}",
            file=sys.stderr,
        )
        return UNREADABLE_EXIT
    return 0


@contextlib.contextmanager
def stopped_by_signals(scoring: FolderScoring) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the scoring with the images at hand."""

    def stop(*_: object) -> None:
        scoring.stopped = True

    # Python's own handler raises an error, which is lost where libraries ignore errors
    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def print_verdict(scoring: FolderScoring, row: Row) -> None:
    """A line for a row that was just written."""
    path, verdict = row["path"], row["verdict"]
    if verdict == UNREADABLE:
        why = scoring.found.unreadable[path]
    else:
        why = f"score {float(row['score']):.6g}, threshold {float(row['threshold']):.6g}"
    print(f"{row['time']} {verdict} {path}: {why}", flush=True)


def print_summary(summary: dict[str, Any], table: Path) -> None:
    """Say what was found."""
    print(f"{summary['images']} images in {summary['seconds']:.1f} s by {summary['detector']}")
    print(f"{summary['defective']} called defective, {len(summary['unreadable'])} unreadable")
    print(f"scores and verdicts: {table}")
    if "same_world" not in summary:
        return
    world = summary["same_world"]
    above, (low, high) = world["above"], world["above"]["interval"]
    least, most = above["rate_range"]
    print(
        f"threshold: {summary['threshold']:.6g}, set from {summary['threshold_from']} for "
        f"{above['rate']:.1%} of good parts"
        + (f"; {least:.1%} to {most:.1%} are to be expected" if least < most else "")
    )
    print(f"reached by {above['share']:.1%} of the images (95 % interval {low:.1%} to {high:.1%})")
    print(f"compared with {world['compared_with']['scores']}:")
    test = world["scores"]
    print(f"  scores: Kolmogorov-Smirnov {test['statistic']:.3f}, p = {test['p_value']:.2g}")
    for name, each in world["light"].items():
        new, before = each["means"]
        print(
            f"  mean {name} {new:.4g}, before {before:.4g}: Kolmogorov-Smirnov "
            f"{each['statistic']:.3f}, p = {each['p_value']:.2g}"
        )
    outside = ", ".join(f"{name} {count}" for name, count in world["outside"].items())
    print(f"  images outside the range of {world['compared_with']['ranges']}: {outside}")
    for difference in world["differences"]:
        print(f"  differs: {difference}")
    print(world["advice"])


if __name__ == "__main__":
    sys.exit(main())
