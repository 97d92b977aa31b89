"""A detector's threshold set anew on good parts of the line, by the script, as its user runs it."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import pytest
from bare import bare_python
from made_detectors import new_image, write_images
from PIL import Image

from calibrate import main
from defectbench.deployment.calibration import far_off, score_good_parts
from defectbench.deployment.detector import Detector, Scored
from defectbench.deployment.detector_file import read_sealed, recalibrated
from defectbench.deployment.export import detector_bytes
from defectbench.deployment.metadata import FORMAT
from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import map_scale
from defectbench.evaluation.promises import Asked, promise
from defectbench.images.network_image import decoded_image

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
ALONE = [""] * 40


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forty")
    write_images(folder, seed=6, n_good=40)
    return folder


@pytest.fixture
def good(forty: Path, tmp_path: Path) -> Path:
    """Forty good parts, in a folder of which a test may do as it likes."""
    return shutil.copytree(forty, tmp_path / "good")


@pytest.fixture
def detector(made: dict, tmp_path: Path) -> Path:
    return shutil.copy(made["path"], tmp_path / "detector.onnx")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def calibrate(
    detector: Path, good: Path, *options: str, stdin: io.StringIO | None = None
) -> subprocess.CompletedProcess[str]:
    """What the script says and how it ends, by default without a terminal."""
    command = ["calibrate.py", str(detector), str(good), "--threads", "1", *options]
    output, errors = io.StringIO(), io.StringIO()
    streams = patch.multiple(sys, argv=command, stdin=stdin or io.StringIO())
    with streams, redirect_stdout(output), redirect_stderr(errors):
        status = main()
    return subprocess.CompletedProcess(command, status, output.getvalue(), errors.getvalue())


def refusal(run: subprocess.CompletedProcess[str], detector: Path) -> str:
    """The one line that bad input ends with, after which nothing is written."""
    assert run.returncode == 2, run.stderr
    *_, line = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in run.stderr
    assert not calibrated(detector).exists()
    return line


def calibrated(detector: Path) -> Path:
    return detector.with_name(f"{detector.stem}_calibrated.onnx")


def scored(detector: Detector, files: Sequence[Path]) -> tuple[np.ndarray, list[Scored]]:
    pixels = [decoded_image(path, detector.metadata).pixels for path in files]
    found = [detector.score(image[None]) for image in pixels]
    return np.concatenate([one.scores for one in found]), found


def changed(made: dict, path: Path, **metadata: object) -> Path:
    path.write_bytes(detector_bytes(made["model"], made["metadata"] | metadata))
    return path


def add_defective_part(folder: Path) -> None:
    image = new_image(np.random.default_rng(7), defective=True)
    Image.fromarray(image).save(folder / "bad.png")


def test_the_threshold_and_the_pixel_threshold_are_those_that_the_parts_support(
    detector: Path, good: Path
):
    """In a Python without anything but onnxruntime, NumPy and Pillow."""
    before = detector.read_bytes()
    options = ("--rate", "0.1", "--threads", "1")
    command = bare_python(SCRIPTS / "calibrate.py", detector, good, *options)
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert detector.read_bytes() == before
    old, new = Detector(detector, 1), Detector(calibrated(detector), 1)
    scores, found = scored(new, sorted(good.iterdir()))
    np.testing.assert_array_equal(scores, scored(old, sorted(good.iterdir()))[0])
    expected = promise(scores, ALONE, Asked(0.1))
    threshold = new.metadata["threshold"]
    assert threshold["value"] == expected["threshold"]
    assert threshold["expected_rate"] == expected["expected"]
    assert sum(one.defective[0] for one in found) == expected["above"] == 3  # (3 + 1) / 41 <= 0.1
    maps = np.concatenate([one.maps for one in found])
    scale = map_scale(maps, np.array(ALONE), Asked(0.1))
    assert new.metadata["map_scale"] == scale._asdict()


def test_the_metadata_say_what_the_threshold_comes_from_and_what_it_was(detector: Path, good: Path):
    assert calibrate(detector, good, "--rule", "average").returncode == 0
    old, new = Detector(detector, 1), Detector(calibrated(detector), 1)
    calibration = new.metadata["calibration"]
    assert (calibration["folder"], calibration["images"], calibration["parts"]) == ("good", 40, 40)
    assert calibration["proof"]["images"] == 40
    assert new.metadata["threshold"]["rule"] == "average"
    assert new.metadata["threshold"]["false_positive_rate"] == 0.05  # the detector's own
    (step,) = new.metadata["history"]
    assert step == {"threshold": old.metadata["threshold"], "sha256": old.sha256}
    kept = ("training_images", "probe", "provenance", "licences", "scorer", "tolerance")
    assert all(new.metadata[name] == old.metadata[name] for name in kept)


def test_onnx_finds_a_calibrated_model_sound(detector: Path, good: Path):
    calibrate(detector, good)
    onnx.checker.check_model(onnx.load(calibrated(detector)), full_check=True)


def test_a_file_whose_threshold_stays_is_the_same_file(made: dict):
    content, _ = read_sealed(made["path"])
    text = Detector(made["path"], 1).text
    assert recalibrated(content, text, made["metadata"]) == content


def test_a_second_calibration_keeps_both_steps(detector: Path, good: Path):
    calibrate(detector, good)
    first = Detector(calibrated(detector), 1)
    second = calibrated(detector).with_name("second.onnx")
    run = calibrate(calibrated(detector), good, "--rate", "0.1", "--output", str(second))
    assert run.returncode == 0, run.stderr
    assert "behind the old threshold:\n  nothing speaks against the threshold" in run.stdout
    exported, once = Detector(second, 1).metadata["history"]
    assert exported["threshold"] == Detector(detector, 1).metadata["threshold"]
    assert once["threshold"] == first.metadata["threshold"]
    assert once["calibration"] == first.metadata["calibration"]


def test_a_calibrated_detector_scores_a_folder_and_says_where_its_threshold_comes_from(
    detector: Path, good: Path, tmp_path: Path
):
    brighter = tmp_path / "brighter"
    brighter.mkdir()
    for path in good.iterdir():
        Image.open(path).point(lambda value: value + 30).save(brighter / path.name)

    def said(detector: Path) -> str:
        options = ("--output", tmp_path / "scores", "--threads", "1", "--overwrite")
        command = bare_python(SCRIPTS / "score_folder.py", detector, brighter, *options)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "brightness: 40 of 40 images are outside the range of the training" in said(detector)
    run = calibrate(detector, brighter)
    assert "brightness: 40 of 40 images are outside the range of the training" in run.stdout
    summary = said(calibrated(detector))
    assert "set from a calibration on 40 good parts (40 images) in brighter" in summary
    assert "reached by 2.5% of the images (" in summary
    assert "nothing speaks against the threshold" in summary
    assert "the training images" not in summary


def test_a_detector_of_an_older_format_becomes_one_of_todays(
    made: dict, good: Path, tmp_path: Path
):
    old = changed(made, tmp_path / "old.onnx", format=3, graph_sha256="0" * 64)
    assert calibrate(old, good).returncode == 0
    new = json.loads(Detector(calibrated(old), 1).text)
    assert new["format"] == FORMAT
    assert "graph_sha256" not in new


def test_copies_count_once(detector: Path, good: Path):
    for path in list(good.iterdir())[:5]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    run = calibrate(detector, good)
    assert "40 good parts, 40 images; 5 copies are left out" in run.stdout
    calibration = Detector(calibrated(detector), 1).metadata["calibration"]
    assert (calibration["images"], calibration["copies"]) == (40, 5)


def test_the_images_of_a_part_s_folder_count_as_one(detector: Path, good: Path):
    files = sorted(good.iterdir())
    parts = [f"part {number // 2}" for number in range(40)]
    for path, part in zip(files, parts, strict=True):
        (good / part).mkdir(exist_ok=True)
        path.rename(good / part / path.name)
    run = calibrate(detector, good, "--parts-in-folders", "--rate", "0.1")
    assert run.returncode == 0, run.stderr
    assert "20 good parts, 40 images" in run.stdout
    new = Detector(calibrated(detector), 1)
    moved = [good / part / path.name for path, part in zip(files, parts, strict=True)]
    expected = promise(scored(new, moved)[0], parts, Asked(0.1))
    assert new.metadata["threshold"]["value"] == expected["threshold"]
    assert new.metadata["calibration"]["parts"] == 20
    assert "at most" in run.stdout


def test_too_few_parts_say_what_they_support(detector: Path, good: Path):
    for path in sorted(good.iterdir())[12:]:
        path.unlink()
    assert refusal(calibrate(detector, good), detector) == (
        "error: 12 good parts are too few for a false-positive rate of 0.05 by the rule average, "
        "which needs 7 more; they support 0.077 by the rule average and 0.221 by the rule tolerance"
    )
    assert list(detector.parent.glob("*scores")) == []
    for rule, rate in (("average", "0.077"), ("tolerance", "0.221")):
        assert calibrate(detector, good, "--rate", rate, "--rule", rule).returncode == 0


def test_a_defective_part_among_them_is_shown_and_nothing_is_written(detector: Path, good: Path):
    add_defective_part(good)
    run = calibrate(detector, good)
    assert run.returncode == 1
    assert "the largest score stands far off the others" in run.stdout
    assert run.stderr.endswith("no detector is written; --yes says that all parts are good\n")
    assert not calibrated(detector).exists()
    pictures = sorted((detector.parent / "detector_calibrated_largest_scores").iterdir())
    assert [picture.name[:2] for picture in pictures] == [f"{place}_" for place in range(1, 7)]
    assert pictures[0].name == "1_bad.jpg"
    assert f"bad.png  ({pictures[0]})" in run.stdout
    assert Image.open(pictures[0]).width > 3 * 40  # image, map and marked part
    assert calibrate(detector, good, "--yes").returncode == 0
    assert calibrated(detector).exists()


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 1), ("", 1)])
def test_on_a_terminal_it_asks(detector: Path, good: Path, answer: str, status: int):
    run = calibrate(detector, good, stdin=Terminal(answer))
    assert "Are all of these good parts? [y/N]" in run.stdout
    assert run.returncode == status, run.stderr
    assert calibrated(detector).exists() == (status == 0)


def test_a_detector_without_maps_is_calibrated_too(made: dict, good: Path, tmp_path: Path):
    model = onnx.ModelProto()
    model.CopyFrom(made["model"])
    del model.graph.output[2]
    detector = tmp_path / "detector.onnx"
    detector.write_bytes(detector_bytes(model, made["metadata"] | {"map_scale": None}))
    run = calibrate(detector, good)
    assert run.returncode == 0, run.stderr
    assert Detector(calibrated(detector), 1).metadata["map_scale"] is None
    first = next((tmp_path / "detector_calibrated_largest_scores").glob("1_*.jpg"))
    assert Image.open(first).size == (40, 32)


def test_unreadable_images_are_named_in_one_line(detector: Path, good: Path):
    (good / "0003.png").write_bytes(b"no image")
    (good / "cut.png").write_bytes((good / "0007.png").read_bytes()[:200])
    line = refusal(calibrate(detector, good), detector)
    named = f"error: {good}: cannot be read: 0003.png, cut.png; remove or replace them ("
    assert line.startswith(f"{named}{good / '0003.png'}: cannot be read as an image (")
    for number in range(4, 10):
        (good / f"{number:04}.png").write_bytes(b"no image")
    line = refusal(calibrate(detector, good), detector)
    assert "0003.png, 0004.png, 0005.png, 0006.png, 0007.png and 3 more; remove" in line


def test_what_is_no_file_and_a_line_break_in_a_name_end_in_one_line(detector: Path, good: Path):
    os.mkfifo(good / "pipe.png")
    (good / "two\nlines.png").write_bytes(b"no image")
    named = rf"error: {good}: cannot be read: pipe.png, two\x0alines.png; remove or replace them ("
    line = refusal(calibrate(detector, good), detector)
    assert line == f"{named}{good}/pipe.png: cannot be read (it is no file; remove it))"
    (good / "pipe.png").unlink()
    line = refusal(calibrate(detector, good), detector)
    assert rf"({good}/two\x0alines.png: cannot be read as an image" in line


def test_a_detector_that_is_no_file_is_refused(detector: Path, good: Path):
    detector.unlink()
    os.mkfifo(detector)
    assert refusal(calibrate(detector, good), detector) == f"error: {detector}: is no file"


def test_a_detector_is_written_though_nobody_listens(detector: Path, good: Path):
    command = bare_python(SCRIPTS / "calibrate.py", detector, good, "--threads", "1")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nobody:
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=nobody)
    assert run.returncode == 0
    assert calibrated(detector).is_file()


def test_an_empty_folder_and_a_missing_one_are_named(detector: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    complaints = {
        "empty": "no PNG, JPEG, BMP, TIFF or WebP files in this folder",
        "missing": "no such folder of images",
    }
    for name, complaint in complaints.items():
        line = refusal(calibrate(detector, tmp_path / name), detector)
        assert line == f"error: {tmp_path / name}: {complaint}"


def test_only_an_earlier_calibration_is_replaced(made: dict, detector: Path, good: Path):
    theirs, among = detector.with_name("theirs.onnx"), good / "new.onnx"
    theirs.write_bytes(b"something else")
    images = made["metadata"]["training_images"]
    entry = {"folder": "", "images": 40, "parts": 40, "images_sha256": "", "statistics": images}
    exported = changed(made, detector.with_name("exported.onnx"), calibration=entry)
    for output, complaint in (
        (exported, "is there already, and no calibrated detector"),
        (detector, "is the detector itself"),
        (theirs, "is there already, and no calibrated detector"),
        (among, "lies among the good parts"),
    ):
        content = output.read_bytes() if output.exists() else None
        line = refusal(calibrate(detector, good, "--output", str(output)), detector)
        assert line.startswith(f"error: {output}: {complaint}")
        assert (output.read_bytes() if output.exists() else None) == content
    calibrate(detector, good)
    first = calibrated(detector).read_bytes()
    assert calibrate(detector, good, "--rate", "0.1").returncode == 0
    assert calibrated(detector).read_bytes() != first


def made_by_make(*given: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(ROOT), "--no-print-directory", "calibrate"]
    return subprocess.run([*command, *given], capture_output=True, text=True)


def test_make_without_its_arguments_shows_them_in_one_line(detector: Path):
    for given in ([], [f"DETECTOR={detector}"]):
        run = made_by_make(*given)
        assert run.returncode == 2
        assert run.stdout.startswith("make calibrate DETECTOR=path/to/detector.onnx GOOD=folder [R")
        assert run.stdout.count("\n") == 1


def test_what_make_is_given_and_is_not_there_is_named(detector: Path):
    run = made_by_make(f"DETECTOR={detector}", "GOOD=nowhere")
    assert run.returncode == 2
    assert run.stderr.startswith("error: nowhere: no such folder of images\n")


def test_a_place_that_cannot_be_written_is_named_in_one_line(detector: Path, good: Path):
    output = detector / "new.onnx"
    line = refusal(calibrate(detector, good, "--output", str(output)), detector)
    assert "Not a directory" in line
    assert str(detector) in line


def test_a_detector_without_a_finite_score_is_refused(
    made: dict, good: Path, monkeypatch: pytest.MonkeyPatch
):
    silent = Scored(np.array([np.nan]), np.array([False]), None, 1.0)
    detector = Detector(made["path"], 1)
    monkeypatch.setattr(detector, "score", lambda images: silent)
    with pytest.raises(InputError, match=r"0000\.png: the detector gives no finite score"):
        score_good_parts(detector, good, False, 1)


@pytest.mark.parametrize("rate", ["0", "1", "-1", "nan", "1e-320", "1e-9"])
def test_a_rate_that_is_none_is_refused(detector: Path, good: Path, rate: str):
    assert "give one between 0 and 1" in refusal(
        calibrate(detector, good, f"--rate={rate}"), detector
    )


@pytest.mark.parametrize(
    ("entry", "damage"),
    [
        ("calibration", lambda c: c | {"statistics": {}}),
        ("calibration", lambda c: c | {"parts": "40"}),
        ("calibration", lambda c: c | {"statistics": c["statistics"] | {"images": -1}}),
        ("calibration", lambda c: c | {"statistics": c["statistics"] | {"width": []}}),
        ("calibration", lambda c: c | {"statistics": c["statistics"] | {"independent": 41}}),
        ("calibration", lambda c: None),
        ("history", lambda h: {}),
        ("history", lambda h: [{"sha256": ""}]),
        ("threshold", lambda t: t | {"rule": "any"}),
        ("threshold", lambda t: t | {"rate_range": []}),
    ],
)
def test_damaged_metadata_of_a_calibration_are_refused(
    made: dict, tmp_path: Path, entry: str, damage: Callable
):
    sound = {
        "threshold": made["metadata"]["threshold"],
        "history": [{"threshold": made["metadata"]["threshold"], "sha256": ""}],
        "calibration": {
            "folder": "good",
            "images": 40,
            "parts": 40,
            "images_sha256": "",
            "statistics": made["metadata"]["training_images"],
        },
    }
    Detector(changed(made, tmp_path / "d.onnx", **sound), 1)
    with pytest.raises(InputError, match="not a detector: its metadata"):
        Detector(changed(made, tmp_path / "d.onnx", **sound | {entry: damage(sound[entry])}), 1)


def without_threshold(model: onnx.ModelProto) -> None:
    (tensor,) = (t for t in model.graph.initializer if t.name == "threshold")
    tensor.name = "limit"
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "threshold":
                node.input[place] = "limit"


def with_a_verdict_of_its_own(model: onnx.ModelProto) -> None:
    other = onnx.numpy_helper.from_array(np.array(0.0), "other")
    model.graph.initializer.append(other)
    (node,) = (node for node in model.graph.node if "threshold" in node.input)
    node.input[list(node.input).index("threshold")] = "other"


@pytest.mark.parametrize(
    ("forge", "complaint"),
    [
        (without_threshold, "its threshold or its metadata stand elsewhere: export it again"),
        (with_a_verdict_of_its_own, "is not that of its score: no detector is written"),
    ],
)
def test_a_forged_graph_ends_in_one_line(
    made: dict, good: Path, tmp_path: Path, forge: Callable, complaint: str
):
    model, detector = onnx.ModelProto(), tmp_path / "detector.onnx"
    model.CopyFrom(made["model"])
    forge(model)
    detector.write_bytes(detector_bytes(model, made["metadata"]))
    line = refusal(calibrate(detector, good), detector)
    assert line.startswith(f"error: {detector}: ")
    assert line.endswith(complaint)


def test_few_sets_of_good_parts_are_suspected():
    rng = np.random.default_rng(42)
    sets = -np.sort(-rng.exponential(size=(2000, 40)), axis=1)
    assert np.mean([far_off(scores) > 0 for scores in sets]) < 0.05


def test_several_parts_that_stand_together_far_off_are_suspected():
    assert far_off(np.array([90, 80, 70, *np.linspace(3, 1, 37)])) == 3
    assert far_off(np.array([1.0])) == 0
