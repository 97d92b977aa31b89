"""Score a folder of images with an exported detector; needs onnxruntime, NumPy and Pillow alone."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from defectbench.deployment.command_line import parse_with_threads
from defectbench.deployment.detector import Detector
from defectbench.deployment.folder import SCORES, FolderScoring, Options, settled_images
from defectbench.errors import InputError
from defectbench.images.layout import KINDS

UNREADABLE_EXIT, ERROR_EXIT = 1, 2


def main() -> int:
    """Score; exit status 0, 1 if images were unreadable, 2 if nothing could be done."""
    arguments = parsed_arguments()
    try:
        detector = Detector(arguments.detector, arguments.threads)
        options = {name: getattr(arguments, name) for name in Options._fields}
        scoring = FolderScoring(detector, Options(**options))
        if arguments.watch:
            watch(scoring)
        else:
            score_once(scoring)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR_EXIT
    if not (scoring.scores or scoring.unreadable):
        print(f"no new images in {arguments.images}: {arguments.output} is left as it was")
        return 0
    print_summary(scoring.summary(), arguments.output / SCORES)
    for reason in scoring.unreadable.values():
        print(f"unreadable: {reason}", file=sys.stderr)
    return UNREADABLE_EXIT if scoring.unreadable else 0


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
    parser.add_argument(
        "--skip-scored", action="store_true", help="go on with scores.csv: leave out what it holds"
    )
    parser.add_argument(
        "--watch", action="store_true", help="wait for further images until Ctrl-C is pressed"
    )
    return parse_with_threads(parser)


def score_once(scoring: FolderScoring) -> None:
    """Score what is there."""
    files = scoring.new_images()
    if not (files or scoring.left):
        raise InputError(f"{scoring.options.images}: no {KINDS} files in this folder")
    if files:
        scoring.score(files)


def watch(scoring: FolderScoring) -> None:
    """Score what comes, until the user stops it."""

    def stop(*_: object) -> None:
        scoring.stopped = True

    # Python's own handler raises an error, which is lost where libraries ignore errors
    signal.signal(signal.SIGINT, stop)
    print(f"watching {scoring.options.images}; Ctrl-C ends it", file=sys.stderr)
    for files in settled_images(scoring):
        if files:
            scoring.score(files)
    print(file=sys.stderr)


def print_summary(summary: dict[str, Any], table: Path) -> None:
    """Say what was found."""
    print(
        f"{summary['images']} images in {summary['seconds']:.1f} s by {summary['detector']}: "
        f"{summary['defective']} defective, {len(summary['unreadable'])} unreadable; {table}"
    )
    if "same_world" not in summary:
        return
    world = summary["same_world"]
    above, (low, high) = world["above"], world["above"]["interval"]
    least, most = above["rate_range"]
    print(
        f"above the threshold {summary['threshold']:.6g}, from {summary['threshold_from']}: "
        f"{above['share']:.1%} (95 % interval {low:.1%} to {high:.1%}); of good parts "
        f"{above['rate']:.1%} were asked for"
        + (f", {least:.1%} to {most:.1%} are to be expected" if least < most else "")
    )
    test = world["scores"]
    print(
        f"scores against those of {world['compared_with']['scores']}: Kolmogorov-Smirnov "
        f"{test['statistic']:.3f}, p = {test['p_value']:.2g}"
    )
    outside = ", ".join(f"{name} {count}" for name, count in world["outside"].items())
    print(f"images outside the range of {world['compared_with']['ranges']}: {outside}")
    for name, each in world["light"].items():
        new, before = each["means"]
        print(
            f"mean {name} {new:.4g}, before {before:.4g}: Kolmogorov-Smirnov "
            f"{each['statistic']:.3f}, p = {each['p_value']:.2g}"
        )
    for difference in world["differences"]:
        print(f"differs: {difference}")
    print(world["advice"])


if __name__ == "__main__":
    sys.exit(main())
