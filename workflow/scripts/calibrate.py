"""Set a detector's threshold on good parts; needs onnxruntime, NumPy and Pillow alone."""

import argparse
import sys
from pathlib import Path

from defectbench.deployment import calibration
from defectbench.deployment.calibration import GoodParts
from defectbench.deployment.command_line import parse_with_threads
from defectbench.deployment.detector import Detector
from defectbench.errors import InputError, exit_status
from defectbench.evaluation.promises import AVERAGE, CALIBRATION, RULES, Asked, Promise
from defectbench.names import printable

UNCONFIRMED_EXIT = 1


def main() -> int:
    """Calibrate; exit status 0, 1 if nobody confirms that the parts are good, 2 for bad input."""
    arguments = parsed_arguments()
    place = arguments.output or arguments.detector.parent
    return exit_status(lambda: calibrate(arguments), where=str(place))


def parsed_arguments() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, help="detector.onnx, exported or calibrated before")
    parser.add_argument("good", type=Path, help="folder of confirmed good parts, with subfolders")
    parser.add_argument("--output", type=Path, help="default: DETECTOR_calibrated.onnx beside it")
    parser.add_argument(
        "--rate",
        type=float,
        help="share of new good parts that may be called defective; default: the detector's own",
    )
    parser.add_argument(
        "--rule",
        choices=RULES,
        help="whether the rate is kept on average or in 95 of 100 calibrations; default: the "
        "detector's own",
    )
    parser.add_argument(
        "--parts-in-folders",
        action="store_true",
        help="each subfolder holds the images of one part, which count as one",
    )
    parser.add_argument("--yes", action="store_true", help="all parts are good: do not ask")
    return parse_with_threads(parser)


def calibrate(arguments: argparse.Namespace) -> int:
    """Score, show, ask, write."""
    source, folder, threads = arguments.detector, arguments.good, arguments.threads
    output = arguments.output or source.with_name(f"{source.stem}_calibrated.onnx")
    detector = Detector(source, threads, gives_way=True)
    check_output(output, source, folder, threads)
    before = detector.metadata["threshold"]
    rate = before["false_positive_rate"] if arguments.rate is None else arguments.rate
    asked = Asked(rate, arguments.rule or before.get("rule", AVERAGE), CALIBRATION)
    parts = calibration.score_good_parts(detector, folder, arguments.parts_in_folders, threads)
    promised = calibration.set_threshold(parts, asked)
    rows = calibration.largest(parts)
    show_largest(detector, parts, rows, folder, output)
    suspected = calibration.far_off(parts.scores[rows])
    tell(detector, parts, promised, suspected)
    if not (arguments.yes or confirmed(suspected)):
        print("no detector is written; --yes says that all parts are good", file=sys.stderr)
        return UNCONFIRMED_EXIT
    metadata = calibration.calibrated_metadata(detector, parts, promised, folder)
    proof = calibration.write_calibrated(detector, output, metadata, parts, threads)
    print(f"{output}: written; it scores {proof['images']} images as {source.name} does")
    return 0


def check_output(output: Path, source: Path, folder: Path, threads: int) -> None:
    """Refuse an output that would take the place of anything but an earlier calibration."""
    if output.resolve() == source.resolve():
        raise InputError(f"{output}: is the detector itself; name another output")
    if folder.resolve() in output.resolve().parents:
        raise InputError(f"{output}: lies among the good parts; name an output elsewhere")
    if not output.exists():
        return
    try:
        replaceable = "history" in Detector(output, threads).metadata
    except InputError:
        replaceable = False
    if not replaceable:
        raise InputError(
            f"{output}: is there already, and no calibrated detector; remove it or name another "
            "output"
        )


def show_largest(
    detector: Detector, parts: GoodParts, rows: list[int], folder: Path, output: Path
) -> None:
    """Draw the parts with the largest scores, and say where the pictures are."""
    pictures = output.with_name(f"{output.stem}_largest_scores")
    shown = rows[: calibration.LARGEST]
    copies = f"; {parts.copies} copies are left out" if parts.copies else ""
    print(f"{len(rows)} good parts, {len(parts.files)} images{copies}. The largest scores:")
    drawn = calibration.draw(detector, parts, shown, pictures)
    for row, picture in zip(shown, drawn, strict=True):
        name = printable(str(parts.files[row].relative_to(folder)))
        print(f"{parts.scores[row]:>12.6g}  {name}  ({printable(str(picture))})")


def tell(detector: Detector, parts: GoodParts, promised: Promise, suspected: int) -> None:
    """Say what the parts come to, before anything is written."""
    before, after = detector.metadata["threshold"]["value"], promised["threshold"]
    reach = [int((parts.scores >= threshold).sum()) for threshold in (before, after)]
    least, most = promised["range"]
    print(
        f"threshold {before:.6g}, which {reach[0]} of {len(parts.scores)} images reach, becomes "
        f"{after:.6g}, which {reach[1]} reach"
    )
    print(
        f"asked: {promised['asked']:.2%} of new good parts by the rule {promised['rule']}; to be "
        f"expected: {'at most ' if promised['at_most'] else ''}{promised['expected']:.2%} on "
        f"average, {least:.2%} to {most:.2%} with these parts"
    )
    print("compared with the images behind the old threshold:")
    for difference in calibration.differences(detector, parts):
        print(f"  {difference}")
    if suspected:
        which = "largest score stands" if suspected == 1 else f"{suspected} largest scores stand"
        print(f"the {which} far off the others: take out what is defective")


def confirmed(suspected: int) -> bool:
    """Whether the user calls all parts good; who cannot be asked has, unless some stand far off."""
    if not sys.stdin.isatty():
        return not suspected
    try:
        return input("Are all of these good parts? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False


if __name__ == "__main__":
    sys.exit(main())
