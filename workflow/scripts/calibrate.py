"""Set a detector's threshold on good parts; needs onnxruntime, NumPy and Pillow alone."""

import argparse
import os
import sys
from pathlib import Path

from defectbench.deployment import calibration
from defectbench.deployment.calibration import GoodParts
from defectbench.deployment.detector import Detector
from defectbench.errors import InputError
from defectbench.evaluation.promises import AVERAGE, RULES, Promise

ERROR_EXIT = 2


def main() -> int:
    """Calibrate; exit status 0, 1 if the user does not want it written, 2 for bad input."""
    arguments = parsed_arguments()
    try:
        return calibrate(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR_EXIT


def parsed_arguments() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, help="detector.onnx, as the workflow exported it")
    parser.add_argument("good", type=Path, help="folder of confirmed good parts, one image of each")
    parser.add_argument("--output", type=Path, help="default: DETECTOR_calibrated.onnx")
    parser.add_argument(
        "--rate",
        type=float,
        help="share of new good parts that may be called defective; default: the detector's own",
    )
    parser.add_argument("--rule", choices=RULES, default=AVERAGE, help=f"default: {AVERAGE}")
    parser.add_argument("--yes", action="store_true", help="do not ask whether the parts are good")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="default: one per CPU"
    )
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads: at least 1")
    if arguments.rate is not None and not 0 < arguments.rate < 1:
        parser.error("--rate: between 0 and 1")
    return arguments


def calibrate(arguments: argparse.Namespace) -> int:
    """Score, show, ask, write."""
    source, folder = arguments.detector, arguments.good
    output = arguments.output or source.with_name(f"{source.stem}_calibrated.onnx")
    if output.resolve() == source.resolve():
        raise InputError(f"{output}: is the detector itself; write another file")
    detector = Detector(source, arguments.threads)
    before = detector.metadata["threshold"]
    rate = before["false_positive_rate"] if arguments.rate is None else arguments.rate
    parts = calibration.score_good_parts(detector, folder, arguments.threads)
    promised = calibration.set_threshold(parts, rate, arguments.rule)
    pictures = calibration.draw_largest(
        detector, parts, output.with_name(f"{output.stem}_largest_scores")
    )
    tell(detector, parts, promised, folder, pictures)
    if not (arguments.yes or confirmed()):
        print("nothing is written", file=sys.stderr)
        return 1
    metadata = calibration.calibrated_metadata(detector, parts, promised, folder)
    proof = calibration.write_calibrated(source, output, metadata, parts, arguments.threads)
    print(f"{output}: written; it scores {proof['images']} parts as {source.name} does")
    return 0


def tell(
    detector: Detector,
    parts: GoodParts,
    promised: Promise,
    folder: Path,
    pictures: list[Path],
) -> None:
    """Say what was found, before anything is written."""
    copies = f"; {parts.copies} copies of others are left out" if parts.copies else ""
    print(f"{len(parts.scores)} good parts{copies}. The largest scores:")
    rows = calibration.largest(parts.scores)
    names = calibration.shown([parts.files[row] for row in rows], folder)
    for row, name, picture in zip(rows, names, pictures, strict=True):
        print(f"  {parts.scores[row]:.6g}  {name}  ({picture})")
    before, (least, most) = detector.metadata["threshold"]["value"], promised["range"]
    found = int((parts.scores >= before).sum())
    print(
        f"threshold {before:.6g}, which {found} of them reach, becomes "
        f"{promised['threshold']:.6g}, which {promised['above']:g} reach: of new good parts "
        f"{promised['expected']:.2%} on average ({least:.2%} to {most:.2%} with these parts)"
    )
    world = calibration.against_training(detector, parts)
    for difference in world["differences"]:
        print(f"differs from the images behind the old threshold: {difference}")


def confirmed() -> bool:
    """Whether the user calls all parts good; who cannot be asked has done so."""
    if not sys.stdin.isatty():
        return True
    return input("Are all of these good parts? [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
